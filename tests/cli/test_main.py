"""Arguments, exit codes, and one clear line for each mistake."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
import yaml

import rayqc
from rayqc.cli.main import main
from rayqc.version import __version__

BUNDLED = "references: {kind: bundled, per_class: 3}\n"


def mistake(capsys, *argv: str) -> str:
    """The one line that a wrong command prints."""
    assert main(list(argv)) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    lines = [line for line in captured.err.splitlines() if line.startswith("rayqc: ")]
    assert len(lines) == 1
    assert captured.out == ""
    return lines[0]


@pytest.fixture
def config(tmp_path):
    def write(text: str) -> str:
        (tmp_path / "config.yaml").write_text(text)
        return str(tmp_path / "config.yaml")

    return write


def test_wrong_paths(capsys, config, tmp_path):
    out = str(tmp_path / "run")
    assert "there is no file nowhere.yaml" in mistake(capsys, "run", "nowhere.yaml", "--out", out)
    missing = config("references: {path: no/such/place}\ntest: {kind: bundled}")
    assert "no images at no/such/place" in mistake(capsys, "run", missing, "--out", out)
    pool = config(BUNDLED + "pool: [{path: no/such/pool.parquet}]")
    assert "no Parquet files at no/such/pool.parquet" in mistake(capsys, "run", pool, "--out", out)
    assert "is no run" in mistake(capsys, "fit", out)
    assert not (tmp_path / "run").exists()


def test_wrong_settings(capsys, config, tmp_path):
    out = str(tmp_path / "run")
    unknown = config(BUNDLED + "encoder: {step: 3}")
    assert "unknown setting `encoder.step`; did you mean `encoder.steps`?" in mistake(
        capsys, "run", unknown, "--out", out
    )
    assert "is not valid YAML" in mistake(capsys, "train", config("a: ["), "--out", out)
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe\x00")
    said = mistake(capsys, "train", str(tmp_path / "config.yaml"), "--out", out)
    assert "config.yaml is not UTF-8 text" in said
    assert "save it as UTF-8" in said
    fine = config(BUNDLED)
    assert "`encoder.steps`" in mistake(
        capsys, "run", fine, "--out", out, "--set", "encoder.steps=many"
    )
    arms = config("references: {path: x.parquet}")
    assert "no Parquet files" in mistake(capsys, "run", arms, "--out", out)
    transform = config(BUNDLED + "pool: [{kind: augment, policy: [{name: Nope}]}]")
    assert "'Nope' is no transform" in mistake(capsys, "run", transform, "--out", out)


def test_references_without_labels(capsys, config, tmp_path, ray_session):
    table = pa.table({"image": [b"x"], "label": [-1]})
    pq.write_table(table, tmp_path / "refs.parquet")
    text = f"references: {{path: {tmp_path}/refs.parquet}}\nclassify: {{arms: []}}"
    line = mistake(capsys, "run", config(text), "--out", str(tmp_path / "run"))
    assert "no reference images: found none with a label" in line


def test_a_broken_reference_is_named(capsys, config, tmp_path, ray_session):
    pq.write_table(pa.table({"image": [b"x"], "label": [0]}), tmp_path / "refs.parquet")
    text = f"references: {{path: {tmp_path}/refs.parquet}}\nclassify: {{arms: []}}"
    line = mistake(capsys, "run", config(text), "--out", str(tmp_path / "run"))
    assert "real image refs.parquet#0 cannot be used (unsupported_format)" in line


def test_arms_need_test_images(capsys, config, tmp_path):
    pq.write_table(pa.table({"image": [b"x"], "label": [0]}), tmp_path / "refs.parquet")
    text = f"references: {{path: {tmp_path}/refs.parquet}}\nclassify: {{arms: [real]}}"
    line = mistake(capsys, "run", config(text), "--out", str(tmp_path / "run"))
    assert "needs real test images" in line and "arms: []" in line


def test_without_test_images_the_classifier_stage_is_left_out_and_this_is_said(
    capsys, config, tmp_path, ray_session
):
    pq.write_table(pa.table({"image": [b"x"], "label": [0]}), tmp_path / "refs.parquet")
    text = f"references: {{path: {tmp_path}/refs.parquet}}"
    assert main(["run", config(text), "--out", str(tmp_path / "run")]) == 2  # a broken reference
    assert "warning: no test images are named: no classifier" in capsys.readouterr().err
    settings = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert settings["classify"]["arms"] == []


def test_a_start_that_failed_claims_nothing(capsys, config, tmp_path, ray_session):
    """What was wrong is put right, and the run folder takes it."""
    bundled = "references: {kind: bundled, per_class: 2}\n"
    out = str(tmp_path / "run")
    for weights in ("nowhere.pth", "elsewhere.pth"):
        encoder = f"encoder: {{kind: timm, name: resnet10t, weights: {tmp_path}/{weights}}}"
        line = mistake(capsys, "train", config(bundled + encoder), "--out", out)
        assert f"encoder.weights: there is no file {tmp_path}/{weights}" in line
        assert not list((tmp_path / "run" / "stages").glob("*.json"))


def test_wrong_usage(capsys, tmp_path):
    assert "--pool and --out go together" in mistake(capsys, "filter", "run", "--pool", "x")
    assert "--limit goes with --pool" in mistake(capsys, "filter", "run", "--limit", "3")
    for words in (["--statistic", "label"], ["--image-column", "x"], ["--latent-column", "x"]):
        assert f"{words[0]} goes with --pool" in mistake(capsys, "filter", "run", *words)
    for argv in (["run"], ["walk"], ["run", "c", "--out", "o", "--limit", "0"], []):
        with pytest.raises(SystemExit) as caught:
            main(argv)
        assert caught.value.code == 2
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.strip() == f"rayqc {__version__}"


def test_no_cluster_at_the_address(tmp_path):
    """In a process of its own: this one has a Ray already, which would be used."""
    command = [sys.executable, "-m", "rayqc", "demo", "--out", str(tmp_path / "run")]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    found = subprocess.run(
        [*command, "--address", "127.0.0.1:1"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert found.returncode == 2, found.stderr
    assert "no Ray cluster answers at 127.0.0.1:1" in found.stderr
    assert "Traceback" not in found.stderr


def test_filtering_from_the_command_line(capsys, tiny_run, tmp_path):
    argv = [
        "filter",
        str(tiny_run),
        "--pool",
        str(tiny_run / "pool"),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main([*argv, "--limit", "40", "--actors", "1"]) == 0
    captured = capsys.readouterr()
    assert re.search(r"filter: 40 images in [\d.]+ s", captured.err)
    assert re.search(r"filter: 40 read = \d+ accepted \+ \d+ rejected \+ 0 error", captured.err)
    assert re.search(r"^\s+40\s+\d+\s+\d+\s+0", captured.out, re.MULTILINE)


def test_the_closing_table(capsys, tiny_run):
    from tests.conftest import TINY

    (tiny_run.parent / "tiny.yaml").write_text(str(TINY).replace("'", '"'))
    assert main(["run", str(tiny_run.parent / "tiny.yaml"), "--out", str(tiny_run)]) == 0
    out = capsys.readouterr().out
    for word in (
        "images a class",
        "pool",
        "accepted",
        "before",
        "after",
        "random",
        "±",
        "control:",
    ):
        assert word in out
    assert max(len(line) for line in out.splitlines() if "│" in line or "─" in line) <= 80


@pytest.mark.long
def test_one_cpu_is_enough_and_local_joins_no_cluster(ray_session, tmp_path):
    """The demo in short form, as a user starts it, beside a cluster that RAY_ADDRESS names."""
    short = [
        "references.per_class=3",
        "pool.0.per_reference=2",
        "encoder.steps=6",
        "encoder.width=0.02",
        "encoder.allow_collapse=true",
        "regions.measure_images=20",
        "classify.seeds=1",
        "classify.steps=10",
        "classify.arms=[real, accepted, random]",
    ]
    sets = [word for one in short for word in ("--set", one)]
    command = [
        sys.executable,
        "-m",
        "rayqc",
        "demo",
        "--pool",
        "augment",
        "--out",
        str(tmp_path / "run"),
        "--num-cpus",
        "1",
    ]
    address = ray.get_runtime_context().gcs_address
    found = subprocess.run(
        [*command, *sets],
        capture_output=True,
        text=True,
        env={**os.environ, "RAY_ADDRESS": address},
        timeout=300,
    )
    assert found.returncode == 0, found.stderr
    assert "ray: local, 1 CPUs" in found.stderr
    assert (tmp_path / "run" / "result.json").exists()


def test_deciding_again_and_looking_closer_from_the_command_line(capsys, tiny_run, tmp_path):
    out, picture = str(tmp_path / "again"), tmp_path / "why.png"
    argv = ["refilter", str(tiny_run), "--out", out]
    assert main([*argv, "--coverage", "0.8", "--scores-only"]) == 0
    captured = capsys.readouterr()
    assert "accepted by class" in captured.out
    assert main([*argv, "--coverage", "2"]) == 2
    assert "coverage must be in (0, 1], found 2.0" in capsys.readouterr().err
    argv = ["inspect", out, "augment/000000003", "--picture", str(picture)]
    assert main(argv) == 2
    assert "name the run that judged it with --judged-by" in capsys.readouterr().err
    assert main([*argv, "--judged-by", str(tiny_run)]) == 0
    said = capsys.readouterr().out
    assert " nearest: " in said
    assert ", decided by " in said
    assert picture.exists()


def test_an_evaluation_needs_settings_it_can_read(capsys, tmp_path):
    assert main(["evaluate", str(tmp_path / "no.yaml"), "--out", str(tmp_path / "e")]) == 2
    assert "there is no file" in capsys.readouterr().err


def test_any_result_is_one_json_document_where_it_is_asked_for(capsys, tiny_run):
    for argv, expected in (
        (["status", str(tiny_run)], rayqc.status(str(tiny_run))),
        (["list", str(tiny_run), "--first", "2"], rayqc.list_images(str(tiny_run), first=2)),
    ):
        assert main([*argv, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == expected
    assert main(["status", str(tiny_run / "model"), "--json"]) == 2
    assert capsys.readouterr().out == ""


def test_a_list_is_shown_in_lines(capsys, tiny_run):
    assert main(["list", str(tiny_run), "--rejected", "--class", "3", "--first", "2"]) == 0
    first, _, last = capsys.readouterr().out.splitlines()
    assert "  3  rejected  " in first
    assert last.endswith("--csv FILE writes all 30") or "more; --first N shows more" in last


def test_a_misspelt_command_or_choice_is_told_from_what_it_is_like(capsys):
    for argv, words in (
        (["fliter", "run"], "no 'fliter' here; did you mean 'filter'?"),
        (["export", "run", "--to", "imgfolder", "--out", "x"], "did you mean 'imagefolder'?"),
        (["nothing-like-it"], "invalid choice"),
        (["list", "run", "--rejectd"], "arguments: --rejectd; did you mean --rejected"),
        (["list", "run", "--redo"], "unrecognized arguments: --redo"),
    ):
        with pytest.raises(SystemExit) as left:
            main(argv)
        assert left.value.code == 2
        assert words in capsys.readouterr().err


def test_shells_complete_commands_and_flags(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--print-completion", "bash"])
    assert left.value.code == 0
    script = capsys.readouterr().out
    for word in ("refilter", "--per-class", "--coverage"):
        assert word in script


def test_settings_are_explained_under_both_names(capsys):
    assert main(["explain", "encoder.steps"]) == 0
    said = capsys.readouterr().out
    assert main(["config", "explain", "encoder.steps"]) == 0
    assert capsys.readouterr().out == said
    assert "Optimiser steps" in said
