"""The page of settings says what the code does."""

import ast
import re
from pathlib import Path

from rayqc.cli.settings_page import OF_RUNS, OTHERS, as_markdown
from rayqc.config.settings import Config

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_settings_is_the_codes():
    page = DOCS / "settings.md"
    assert page.read_text() == as_markdown(), (
        "run: python -m rayqc.cli.settings_page > docs/settings.md"
    )


def test_every_section_and_setting_is_described():
    of_runs = {name.partition(":")[0] for name in OF_RUNS}
    assert of_runs | {"seed"} == set(Config.model_fields)
    for kind in [*OF_RUNS.values(), *OTHERS.values()]:
        for name, field in kind.model_fields.items():
            assert field.description, f"{kind.__name__}.{name}"


def test_the_python_in_the_pages_parses():
    found = 0
    for page in [DOCS.parent / "README.md", *DOCS.glob("*.md")]:
        for block in re.findall(
            r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
        ):
            ast.parse(block)
            found += 1
    assert found >= 2


def test_files_that_the_pages_name_are_there():
    root = DOCS.parent
    shipped = [
        path.relative_to(root).as_posix()
        for room in ("rayqc", "tests", "jobs", "benchmarks", "docs")
        for path in (root / room).rglob("*")
    ]
    missing = [
        f"{page.name}: {name}"
        for page in [root / "README.md", *DOCS.glob("*.md")]
        for name in re.findall(r"`([a-z0-9_/]+\.py)`", page.read_text(encoding="utf-8"))
        if not any(path == name or path.endswith(f"/{name}") for path in shipped)
    ]
    assert not missing
