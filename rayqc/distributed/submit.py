"""Submit a run to a cluster as a job, follow its lines, and learn how it ended."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from rayqc.errors import JobFailedError, UserError
from rayqc.tool_results import SubmitResult
from rayqc.version import __version__

logger = logging.getLogger(__name__)

DASHBOARD = "http://127.0.0.1:8265"
SETTINGS = "settings.yaml"
PASSED_ON = (
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ALLOW_HTTP",
    "GOOGLE_CLOUD_PROJECT",
    "AZURE_STORAGE_ACCOUNT_NAME",
)
"""Variables that say where an object store is, and hold no secret."""
SECONDS_TO_STOP = 30
"""What a stopped job has to commit its units, before Ray kills it; Ray's own number is 3."""


def submit_run(
    settings: str,
    out: str,
    *,
    address: str | None,
    arguments: Sequence[str],
    variables: Sequence[str],
    packages: Sequence[str],
    working_dir: str | None,
    follow: bool,
    lines: TextIO | None = None,
) -> SubmitResult:
    """Submit `rayqc run` to a cluster, with this process's own rayqc, and follow it.

    Args:
        settings: text of the settings' file, which travels with the job.
        out: the run folder, as the cluster's nodes see it.
        address: of the cluster's dashboard; None takes RAY_ADDRESS where it is one, or this
            machine's.
        arguments: further arguments of `rayqc run`.
        variables: names of environment variables of this process that the job gets, too.
        packages: what pip installs for the job, once a node.
        working_dir: folder that the job runs in, with the user's own code; None has the settings
            only.
        follow: wait for the end, and show the job's lines meanwhile.
        lines: where they are shown; None shows them on standard error.

    Raises:
        JobFailedError: the job ended otherwise than well; its exit code is the job's own.
        UserError: no cluster answers there, a variable is not set, or Ray's part for jobs is not
            installed.
    """
    client = _client(_dashboard(address))
    with tempfile.TemporaryDirectory() as own_folder:
        folder = Path(working_dir or own_folder)
        name = _settings_in(folder, settings, own=working_dir is None)
        command = ["python", "-m", "rayqc", "run", name, "--out", out, "--address", "auto"]
        try:
            submission = client.submit_job(
                entrypoint=shlex.join([*command, *arguments]),
                runtime_env=_environment(folder, variables, packages),
                metadata={"rayqc": __version__, "out": out},
            )
        finally:
            if working_dir is not None:
                (folder / name).unlink()
    logger.info("submitted %s; it goes on without this command", submission)
    result: SubmitResult = {"job": submission, "out": out, "status": "PENDING", "exit_code": None}
    if not follow:
        return result
    try:
        asyncio.run(_show(client, submission, lines or sys.stderr))
    except KeyboardInterrupt:
        logger.warning(
            "the job goes on: `ray job logs --follow %s` shows it, `ray job stop %s` ends it; "
            "submitting again resumes",
            submission,
            submission,
        )
        raise
    return _ended(client, submission, result)


def _dashboard(address: str | None) -> str:
    known = os.environ.get("RAY_ADDRESS", "")
    return address or (known if known.startswith("http") else DASHBOARD)


def _client(address: str) -> Any:
    missing = [name for name in ("aiohttp", "requests") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"rayqc submit needs Ray's part for jobs ({', '.join(missing)} is missing): "
            "pip install 'rayqc[cluster]'"
        )
    from ray.job_submission import JobSubmissionClient  # noqa: PLC0415  (an extra's, and slow)

    logging.getLogger("ray").setLevel(logging.WARNING)  # each upload is a line of its own
    try:
        return JobSubmissionClient(address)
    except (ConnectionError, RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"no Ray dashboard answers at {address}: {reason}; give its address, such as "
            "--address http://HEAD:8265, and where the cluster asks for a token set "
            "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
        ) from error


def _settings_in(folder: Path, settings: str, *, own: bool) -> str:
    """Name of the settings' file, written to the folder that the job will run in."""
    if own:
        name = SETTINGS
    else:
        descriptor, path = tempfile.mkstemp(".yaml", "rayqc-", folder)
        os.close(descriptor)
        name = Path(path).name
    (folder / name).write_text(settings, encoding="utf-8")
    return name


def _environment(folder: Path, variables: Sequence[str], packages: Sequence[str]) -> dict[str, Any]:
    """The job's runtime environment: this rayqc's own code, and what is passed on."""
    unset = [name for name in variables if name not in os.environ]
    if unset:
        raise UserError(f"--env {unset[0]}: there is no such environment variable here")
    names = [*variables, *(name for name in PASSED_ON if name in os.environ)]
    values = {name: os.environ[name] for name in dict.fromkeys(names)}
    environment: dict[str, Any] = {
        "working_dir": str(folder),
        "py_modules": [str(Path(__file__).parents[1])],
        "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(SECONDS_TO_STOP), **values},
    }
    return {**environment, "pip": list(packages)} if packages else environment


async def _show(client: Any, submission: str, lines: TextIO) -> None:
    async for text in client.tail_job_logs(submission):
        lines.write(text)
        lines.flush()


def _ended(client: Any, submission: str, result: SubmitResult) -> SubmitResult:
    """How a job ended whose lines have ended.

    Raises:
        JobFailedError: not well.
    """
    info = client.get_job_info(submission)
    result["status"] = str(info.status.value)
    result["exit_code"] = info.driver_exit_code
    if result["status"] == "SUCCEEDED":
        return result
    message = str(info.message or "").strip().splitlines()
    raise JobFailedError(
        f"the job {submission} ended as {result['status']}: {message[0] if message else ''}; "
        f"`ray job logs {submission}` has its lines, submitting again resumes",
        info.driver_exit_code,
    )
