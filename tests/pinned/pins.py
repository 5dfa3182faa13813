"""What the package gives, collected through its public names and its files alone.

`python -m tests.pinned.pins > tests/pinned/pins.json` pins it anew; `test_pinned` compares. A
change that is meant to leave results alone leaves the pins alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image

import rayqc
from rayqc.cli.main import main

TARGET = "tests.pinned.pins:Digits"

SETTINGS: dict[str, Any] = {
    "references": {"kind": "bundled", "per_class": 5},
    "pool": [
        {"kind": "augment", "policy": "strong", "per_reference": 2, "statistic": "joint"},
        {"kind": "augment", "policy": "mild", "per_reference": 1, "name": "mild"},
        {"kind": "vae", "per_class": 2},
    ],
    "encoder": {"width": 0.03, "steps": 40, "latent_dim": 16, "checkpoint_every": 20},
    "regions": {"measure_images": 100, "folds": 3},
    "filter": {"unit_rows": 70, "micro_batch": 32},
    "classify": {"seeds": 1, "steps": 10, "width": 4, "batch_size": 20},
}

FAKE = "references: {kind: bundled, per_class: 3}\n"
MISTAKES: dict[str, str] = {
    "unknown setting": FAKE + "encoder: {step: 3}",
    "encoder kind": FAKE + "encoder: {kind: nothing}",
    "encoder needs": FAKE + "encoder: {kind: torchvision}",
    "source kind": "references: {kind: nothing, path: x}",
    "no path": "references: {kind: folder}",
    "view": FAKE + "regions: {views: [nothing]}",
    "no view": FAKE + "regions: {views: []}",
    "region kind": FAKE + "regions: {kind: nothing}",
    "promise": FAKE + "regions: {promise: nothing}",
    "statistic": FAKE + "pool: [{kind: augment, statistic: nothing}]",
    "vae pool": FAKE + "encoder: {kind: supervised}\npool: [{kind: vae}]",
    "generator needs": FAKE + "pool: [{kind: python}]",
    "names twice": FAKE + "pool: [{kind: augment, name: a}, {kind: vae, name: a}]",
    "arm": FAKE + "classify: {arms: [nothing]}",
    "lost arm": FAKE + "filter: {keep_pool: none}",
    "missing": FAKE + "pool: [{path: no/such/place.parquet}]",
    "transform": FAKE + "pool: [{kind: augment, policy: [{name: Nope}]}]",
    "exported": FAKE + "pool: [{kind: exported, path: no/such.pt, noise_dim: 4}]",
    "target": FAKE + "pool: [{kind: python, target: no.such:Thing}]",
    "code": FAKE + "encoder: {kind: python, target: no.such:Thing}",
}


class Digits:
    """A generator of one's own: real digits, turned upside down for even seeds."""

    def __init__(self) -> None:
        path = Path(rayqc.__file__).parent / "data" / "mnist5k-test.parquet"
        rows = pq.ParquetFile(path).read().to_pylist()
        self.by_label: dict[int, list[np.ndarray]] = {}
        for row in rows:
            pixels = np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])))
            self.by_label.setdefault(row["label"], []).append(pixels)

    def __call__(self, label: np.ndarray, seed: np.ndarray) -> np.ndarray:
        made = []
        for k, one in zip(label.tolist(), seed.tolist(), strict=True):
            own = self.by_label[k]
            pixels = own[one // 2 % len(own)]
            made.append(pixels[::-1] if one % 2 == 0 else pixels)
        return np.stack(made)[..., None]


def probe() -> str:
    """Changes where the machine's arithmetic, or a library's, gives other last digits."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3), torch.nn.GELU(), torch.nn.Flatten())
    head = torch.nn.Linear(8 * 26 * 26, 10)
    optimiser = torch.optim.Adam([*network.parameters(), *head.parameters()])
    for _ in range(20):
        loss = torch.nn.functional.cross_entropy(
            head(network(torch.rand(16, 1, 28, 28))), torch.arange(16) % 10
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    bits = b"".join(p.detach().numpy().tobytes() for p in head.parameters())
    return f"torch {torch.__version__} {hashlib.sha256(bits).hexdigest()[:16]}"


def rows(folder: Path) -> list[str]:
    """Each judged image: id, score to 5 decimals, what decided, verdict, reason, nearest class."""
    found = []
    for path in sorted(folder.glob("scores/*.parquet")):
        for row in pq.ParquetFile(path).read().to_pylist():
            score = "-" if row["score"] is None else f"{row['score']:.5f}"
            names = ("decided_by", "verdict", "reason", "nearest_class", "near_copy")
            found.append(" ".join([row["id"], score, *(str(row[name]) for name in names)]))
    return found


def shards(folder: Path) -> dict[str, Any]:
    """Columns and ids of each kind, with a digest of the image bytes."""
    found: dict[str, Any] = {}
    for kind in ("accepted", "rejected", "errors", "scores"):
        for path in sorted(folder.glob(f"{kind}/*.parquet")):
            table = pq.ParquetFile(path).read()
            ids = sorted(table["id"].to_pylist())
            held = hashlib.sha256("\n".join(ids).encode())
            if "image" in table.column_names:
                for row in table.sort_by("id")["image"].to_pylist():
                    held.update(row["bytes"] or b"")
            found[f"{kind}/{path.name}"] = {
                "columns": [str(field) for field in table.schema],
                "rows": len(ids),
                "digest": held.hexdigest()[:16],
            }
    return found


def keys(value: Any, path: str = "") -> list[str]:
    """Dotted keys of a JSON value; lists are looked at by their first item."""
    if isinstance(value, dict):
        return [key for name in sorted(value) for key in keys(value[name], f"{path}.{name}")]
    if isinstance(value, list) and value:
        return keys(value[0], f"{path}[]")
    return [path]


def rounded(value: Any) -> Any:
    """Numbers to 4 significant digits; times and rates, which no two runs share, left out."""
    if isinstance(value, dict):
        apart = (
            "seconds",
            "starts",
            "peak_memory_mb",
            "images_a_second",
            "rayqc_version",
            "history",
        )
        return {k: rounded(v) for k, v in value.items() if not any(one in k for one in apart)}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def command(*argv: str) -> dict[str, Any]:
    """Exit code and what was printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(list(argv))
        except SystemExit as left:
            code = int(left.code or 0)
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def sections(tmp: Path) -> Iterator[tuple[str, Any]]:
    """Everything that is pinned, piece by piece, since a piece may stand on those before it."""
    yield (
        "help",
        {"": command("--help")["out"]}
        | {
            name: command(name, "--help")["out"]
            for name in [
                "demo",
                "run",
                "train",
                "fit",
                "generate",
                "filter",
                "classify",
                "refilter",
                "inspect",
                "evaluate",
                "check",
                "clean",
                "doctor",
            ]
        },
    )
    yield "mistakes", _mistakes(tmp)
    run = tmp / "run"
    result = rayqc.run(rayqc.make_config(SETTINGS), str(run))
    yield "result.json keys", keys(json.loads((run / "result.json").read_text()))
    yield "result", rounded(result)
    yield "rows", rows(run / "filtered")
    yield "shards", shards(run / "filtered")
    yield "files", _files(run)
    yield "config", (run / "config.yaml").read_text()
    ledger = json.loads((run / "filtered" / "ledger.json").read_text())
    yield "ledger", {k: v for k, v in ledger.items() if k != "inputs"}  # times of files
    yield "regions", json.loads((run / "regions" / "regions.json").read_text())["regions_digest"]
    yield (
        "stages",
        {
            path.name: keys(json.loads(path.read_text()))
            for path in sorted((run / "stages").iterdir())
        },
    )
    yield "undone by", _undone(run)
    for statistic in ("label", "quality", "joint"):
        out = tmp / statistic
        rayqc.filter_pool(str(run), str(run / "pool"), str(out), statistic=statistic)
        yield f"filter by {statistic}", rows(out)
    found = rayqc.refilter(str(run), str(tmp / "again"), coverage=0.8, statistic="label")
    yield "refilter", {"result": rounded(found), "rows": rows(tmp / "again")}
    some = rows(run / "filtered")[0].split()[0]
    found = rayqc.inspect(str(run), some, picture=str(tmp / "inspect.png"))
    yield "inspect", rounded({**found, "picture": ""})
    yield "check", rounded(rayqc.check(str(run / "pool")))
    (run / "filtered" / "accepted" / "unit-0000000-00000000.parquet").write_bytes(b"left over")
    cleaned = rayqc.clean(str(run), dry_run=True)
    yield "clean", {**cleaned, "files": [Path(one).name for one in cleaned["files"]]}
    rayqc.clean(str(run))
    yield "commands", _commands(run, tmp)
    yield "resumed", _resumed(run, tmp)
    yield "sphere", _sphere(run, tmp)
    yield "until", _until(run, tmp)


def _mistakes(tmp: Path) -> dict[str, Any]:
    found = {}
    for name, text in MISTAKES.items():
        (tmp / "config.yaml").write_text(text)
        found[name] = command("run", str(tmp / "config.yaml"), "--out", str(tmp / "none"))
    for name, argv in {
        "no run": ["fit", str(tmp / "none")],
        "no such command": ["walk"],
        "pool without out": ["filter", "x", "--pool", "y"],
        "limit without pool": ["filter", "x", "--limit", "3"],
        "until without out": ["generate", "x", "--until", "3"],
        "budget without until": ["generate", "x", "--budget", "3"],
        "refilter of no run": ["refilter", str(tmp / "nowhere"), "--out", str(tmp / "o")],
        "clean nothing": ["clean", str(tmp / "nowhere")],
        "check nothing": ["check", str(tmp / "nowhere")],
        "statistic": ["filter", "x", "--pool", "y", "--out", "z", "--statistic", "nothing"],
    }.items():
        found[name] = command(*argv)
    return found


def _files(run: Path) -> list[str]:
    """Names in a run folder; those of attempts and checkpoints differ from run to run."""
    apart = ("checkpoints", ".validate")
    names = (str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())
    return sorted(name for name in names if not any(one in name for one in apart))


def _undone(run: Path) -> dict[str, str]:
    """For each setting, what is said when it is changed in a finished run."""
    found = {}
    for dotted, value in {
        "seed": 1,
        "image.max_pixels": 7_000_000,
        "references.seed": 3,
        "test": {"kind": "bundled", "split": "train"},
        "pool.0.per_reference": 3,
        "pool.1.statistic": "joint",
        "encoder.steps": 41,
        "encoder.precision": "bfloat16",
        "encoder.max_failures": 7,
        "encoder.checkpoint_every": 10,
        "regions.coverage": 0.9,
        "regions.measure_images": 50,
        "filter.actors": 1,
        "filter.micro_batch": 16,
        "filter.unit_minutes": 5,
        "filter.shard_mb": 1.0,
        "filter.limit": 40,
        "filter.keep_pool": "accepted",
        "filter.keep_rejected": "none",
        "filter.max_error_share": 0.5,
        "classify.steps": 11,
        "resources.stuck_minutes": 3,
    }.items():
        tree: Any = json.loads(json.dumps(SETTINGS))
        if dotted in ("filter.keep_pool", "filter.keep_rejected"):
            tree["classify"]["arms"] = ["real"]
        node = tree
        *above, last = dotted.split(".")
        for key in above:
            node = node[int(key)] if isinstance(node, list) else node.setdefault(key, {})
        node[last] = value
        copy = run.parent / "changed"
        shutil.copytree(run, copy)
        try:
            rayqc.train(rayqc.make_config(tree), str(copy))
            found[dotted] = "nothing"
        except rayqc.UserError as error:
            found[dotted] = str(error).replace(str(run.parent), "TMP")
        shutil.rmtree(copy)
    return found


def _commands(run: Path, tmp: Path) -> dict[str, Any]:
    """What commands print of results that are there already."""
    some = rows(run / "filtered")[0].split()[0]
    picture = ("--picture", str(tmp / "x.png"))
    return {
        "train": command("train", str(_written(tmp)), "--out", str(run)),
        "generate": command("generate", str(run)),
        "filter": command("filter", str(run)),
        "classify": command("classify", str(run)),
        "refilter": command("refilter", str(run), "--out", str(tmp / "p"), "--coverage", "0.9"),
        "inspect": command("inspect", str(run), some, *picture),
        "clean": command("clean", str(run)),
        "unknown id": command("inspect", str(run), "nothing/000"),
        "bad coverage": command("refilter", str(run), "--out", str(tmp / "q"), "--coverage", "7"),
        "out in run": command("refilter", str(run), "--out", str(run / "x")),
    }


def _written(tmp: Path) -> Path:
    path = tmp / "settings.yaml"
    path.write_text(json.dumps(SETTINGS))
    return path


def _resumed(run: Path, tmp: Path) -> list[str]:
    """Verdicts of a filter that was cut off before its first commit and gone on with."""
    copy = tmp / "resumed"
    shutil.copytree(run, copy)
    filtered = copy / "filtered"
    rayqc.filter(str(copy), redo=True)  # copied files are other files: their plan is made anew
    for path in [*filtered.glob("*/train-*.parquet"), filtered / "manifest.json"]:
        path.unlink()
    (filtered / "_SUCCESS").unlink()
    shutil.rmtree(filtered / "commits")
    (copy / "stages" / "filter.json").write_text('{"status": "begun", "at": ""}')
    rayqc.filter(str(copy))
    return rows(filtered)


def _sphere(run: Path, tmp: Path) -> dict[str, Any]:
    copy = tmp / "sphere"
    shutil.copytree(run, copy)
    settings = {**SETTINGS, "classify": {"arms": []}}
    tree = {**settings, "regions": {"kind": "sphere", "measure_images": 50}}
    result = rayqc.run(rayqc.make_config(tree), str(copy), redo=True)
    shutil.copytree(copy, tmp / "loo")
    tree = {**settings, "regions": {"kind": "sphere_loo", "coverage": 0.8, "measure_images": 0}}
    loo = rayqc.run(rayqc.make_config(tree), str(tmp / "loo"), redo=True)
    found = rayqc.refilter(str(copy), str(tmp / "sphere-again"), coverage=0.7)
    return {
        "result": rounded(result),
        "rows": rows(copy / "filtered"),
        "loo": rounded(loo["table3"]),
        "again": rounded(found["outcomes"]),
    }


def _until(run: Path, tmp: Path) -> dict[str, Any]:
    copy = tmp / "drawing"
    shutil.copytree(run, copy)
    pool = [
        {"kind": "python", "target": TARGET, "per_class": 3, "batch_size": 8},
        {"kind": "vae", "per_class": 4},
    ]
    tree = {**SETTINGS, "pool": pool, "classify": {"arms": []}}
    tree["filter"] = {**SETTINGS["filter"], "keep_pool": "accepted"}
    rayqc.run(rayqc.make_config(tree), str(copy), redo=True)
    out = tmp / "drawn"
    wanted = {"until": 2, "floor": 0.3}
    found = rayqc.generate_until(str(copy), str(out), trust=TARGET, **wanted)
    drawn = [row for place in sorted(out.glob("rounds/*")) for row in rows(place)]
    folder = str(copy)
    untrusted = command("generate", folder, "--until", "2", "--out", str(tmp / "never"))
    shown = ("generate", folder, "--until", "2", "--floor", "0.3")
    again = command(*shown, "--trust", TARGET, "--out", str(out))
    # Seconds stand in what is printed.
    lines = [line for line in again["out"].splitlines() if " s;" not in line and "." not in line]
    return {
        "result": rounded(found),
        "keys": keys(found),
        "rows": hashlib.sha256("\n".join(drawn).encode()).hexdigest()[:16],
        "untrusted": untrusted,
        "printed": [again["code"], lines],
        "pool": rows(copy / "filtered"),
    }


def cleaned(value: Any, tmp: Path) -> Any:
    """Without this run's own paths, and without progress lines' rates and times."""
    text = json.dumps(value).replace(str(tmp), "TMP").replace(str(Path.cwd()), "CWD")
    return json.loads(text)


def collect(tmp: Path, wanted: set[str] | None = None) -> dict[str, Any]:
    """Sections as they are kept: all of them, or up to the last that is wanted."""
    found: dict[str, Any] = {}
    for name, value in sections(tmp):
        found[name] = cleaned(value, tmp)
        if wanted is not None and wanted <= found.keys():
            break
    return found


if __name__ == "__main__":
    from rayqc.distributed.session import session

    with tempfile.TemporaryDirectory() as place, session("local", num_cpus=2):
        sys.stdout.write(
            json.dumps({"probe": probe(), **collect(Path(place))}, indent=0, sort_keys=True) + "\n"
        )
