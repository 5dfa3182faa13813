"""What a user asks of a cluster: to examine its nodes, and to do a run as a job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rayqc.distributed.doctor import examine
from rayqc.distributed.session import session
from rayqc.distributed.submit import submit_run
from rayqc.errors import ConfigError
from rayqc.pipeline.settings import load_config
from rayqc.shown.base import plain_lines
from rayqc.shown.commands import examined
from rayqc.shown.displayed import shown_by
from rayqc.tool_results import DoctorResult, SubmitResult


@shown_by(plain_lines)
def submit(
    config: str,
    out: str,
    *,
    address: str | None = None,
    arguments: Sequence[str] = (),
    variables: Sequence[str] = (),
    packages: Sequence[str] = (),
    working_dir: str | None = None,
    follow: bool = True,
) -> SubmitResult:
    """Do `rayqc run` on a cluster, as a job that goes on without this process; again, it resumes.

    The job runs this very rayqc, whose code travels with it; the nodes have its requirements.

    Args:
        config: path of a YAML file of settings; the paths in it are the cluster's.
        out: the run folder, on a file system that all nodes share, or a URL of an object store.
        address: of the cluster's dashboard, such as `http://head:8265`; None takes RAY_ADDRESS
            where it is one, or this machine's.
        arguments: further arguments of `rayqc run`, such as `--set`, `encoder.steps=500`.
        variables: names of environment variables that the job gets from here, such as keys of an
            object store; those that hold no secret (AWS_REGION, AWS_ENDPOINT_URL, ...) it gets in
            any case.
        packages: what pip installs for the job on each node, such as `timm`.
        working_dir: folder of your own code (`encoder.target` and its like), which travels, too.
        follow: wait for the end and show the job's lines on standard error.

    Returns:
        The job's id, its status and its exit code.

    Raises:
        JobFailedError: the job ended otherwise than well.
        UserError: the settings are wrong, or no cluster answers.
    """
    try:
        text = Path(config).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {config}: {error.strerror}") from error
    load_config(config, [value for value in arguments if "=" in value])
    return submit_run(
        text,
        out,
        address=address,
        arguments=arguments,
        variables=variables,
        packages=packages,
        working_dir=working_dir,
        follow=follow,
    )


@shown_by(examined)
def doctor(*, address: str = "local", num_cpus: int | None = None) -> DoctorResult:
    """Start or join Ray, look at every node, and warn of what will give trouble.

    Args:
        address: where Ray runs: `local`, `auto`, or a cluster's address.
        num_cpus: CPUs of a local session; None takes the machine's.

    Returns:
        The driver's versions, facts of each node, and warnings.
    """
    with session(address, num_cpus):
        return examine()
