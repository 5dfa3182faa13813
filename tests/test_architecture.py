"""The house keeps its plan: imports run downward, rooms on a floor apart, public names fixed."""

from __future__ import annotations

import ast
import importlib.util
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import rayqc
from rayqc import kinds as register
from rayqc.errors import ArtefactError

PACKAGE = Path(rayqc.__file__).parent

FLOORS = {
    "jobs": 12,
    "cli": 11,
    "api": 10,
    "experiments": 9,
    "pipeline": 8,
    "distributed": 7,
    "report": 7,
    "exports": 7,
    "selection": 1,
    "trackers": 2,
    "work": 6,
    "regions": 5,
    "generators": 5,
    "encoders": 4,
    "training": 3,
    "sources": 3,
    "ledger": 3,
    "models": 2,
    "images": 2,
    "storage": 1,
    "background": 0,
    "schema": 0,
    "config": 0,
    "errors": 0,
    "imports": 0,
    "live": 0,
    "kinds": 0,
    "printable": 0,
    "log_lines": 0,
    "progress": 0,
    "results": 0,
    "set_results": 0,
    "tool_results": 0,
    "seeds": 0,
    "shown": 0,
    "targets": 0,
    "units": 0,
    "verdicts": 0,
    "version": 0,
}
GROUND_FLOOR_ORDER = (
    "errors",
    "imports",
    "printable",
    "log_lines",
    "background",
    "version",
    "seeds",
    "verdicts",
    "targets",
    "kinds",
    "units",
    "schema",
    "progress",
    "live",
    "set_results",
    "results",
    "tool_results",
    "shown",
    "config",
)
LONGEST_FILE = 350
LONGEST_MEDIAN = 110
TABLES = {
    "EXPORTS": "exports",
    "SOURCES": "sources",
    "ENCODERS": "encoders",
    "GENERATORS": "generators",
    "CLASSIFIERS": "distributed",
    "VIEWS": "regions",
    "SCORES": "regions",
    "PROMISES": "regions",
    "REGIONS": "regions",
    "OUTPUTS": "report",
    "SELECTIONS": "selection",
    "STAGES": "pipeline",
    "TRACKERS": "trackers",
}
"""Tables of the register, and the room that their kinds are at home in."""


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


def package_files() -> list[Path]:
    return [
        path
        for path in PACKAGE.rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py") or path.parent != PACKAGE
    ]


def test_every_room_has_a_floor():
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in package_files()}
    assert rooms == set(FLOORS) - {"jobs"}


@pytest.mark.parametrize("path", package_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downward(path: Path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imports_of(path):
        if module == "rayqc" and room == "cli":
            continue  # the command line stands on the public names
        if module.split(".")[0] != "rayqc":
            continue
        other = room_of(module)
        if other == room:
            continue
        if FLOORS[room] == FLOORS[other] == 0:
            order = GROUND_FLOOR_ORDER.index
            assert order(other) < order(room), f"{path} imports {module}"
        else:
            assert FLOORS[other] < FLOORS[room], f"{path} imports {module}"


def test_only_distributed_imports_ray():
    for path in package_files():
        if path.relative_to(PACKAGE).parts[0] != "distributed":
            tops = {module.split(".")[0] for module in imports_of(path)}
            assert "ray" not in tops, path


@pytest.mark.parametrize(
    "module", ["rayqc.api.runs", "rayqc.api.pools", "rayqc.api.judged", "rayqc.work.filter_unit"]
)
def test_what_only_some_commands_need_is_imported_by_them(module: str):
    """Each of a stage's processes waits for its imports: these are seconds together."""
    heavy = ("torchvision", "torch._dynamo", "sklearn", "scipy", "matplotlib", "skimage")
    code = f"import sys, {module}; print(*(name for name in {heavy} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_what_only_looks_answers_without_ray_and_torch():
    """`status`, `list`, `init`, `check`, `explain` and `clean`: torch and Ray take two seconds."""
    code = (
        "import sys, rayqc.api.listed, rayqc.api.tools;"
        "print(*(name for name in ('ray', 'torch', 'pandas') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_files_are_short():
    lines = [len(path.read_text(encoding="utf-8").splitlines()) for path in package_files()]
    assert max(lines) <= LONGEST_FILE
    assert statistics.median(lines) <= LONGEST_MEDIAN


def test_the_picture_of_the_rooms_is_the_codes():
    spec = importlib.util.spec_from_file_location(
        "draw_rooms", PACKAGE.parent / "docs/draw_rooms.py"
    )
    draw_rooms = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw_rooms)
    drawn = draw_rooms.PICTURE.read_text(encoding="utf-8")
    assert drawn == draw_rooms.picture(), "run: python docs/draw_rooms.py"


@pytest.mark.parametrize("table", TABLES)
def test_the_register_names_records_of_one_room(table: str):
    """The one place where a name below stands for a module above: each must be there."""
    kinds = getattr(register, table)
    for name, entry in kinds.entries.items():
        assert entry.target.startswith(f"rayqc.{TABLES[table]}."), name
        assert kinds[name] is not None
    assert set(TABLES) == {k for k, v in vars(register).items() if isinstance(v, register.Kinds)}


def test_an_unknown_kind_is_refused_with_those_known():
    with pytest.raises(ArtefactError, match="no encoder of kind 'x'; it knows vae, supervised"):
        register.ENCODERS["x"]


def test_jobs_stand_on_the_command_line_alone():
    for path in (PACKAGE.parent / "jobs").glob("*.py"):
        assert imports_of(path) <= {"sys", "rayqc.cli.main"}, path


def test_public_names():
    assert sorted(rayqc.__all__) == [
        "Config",
        "Progress",
        "RayqcError",
        "UserError",
        "check",
        "classify",
        "clean",
        "demo",
        "doctor",
        "evaluate",
        "explain",
        "export",
        "filter",
        "filter_pool",
        "fit",
        "generate",
        "generate_until",
        "hf_dataset",
        "init",
        "inspect",
        "list_images",
        "load_config",
        "load_evaluation",
        "make_config",
        "plan",
        "refilter",
        "run",
        "select",
        "status",
        "submit",
        "torch_dataset",
        "train",
        "worth",
        "write_report",
    ]
    assert all(getattr(rayqc, name) is not None for name in rayqc.__all__)
    assert (PACKAGE / "py.typed").exists()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        rayqc.nothing  # noqa: B018


def test_importing_loads_neither_ray_nor_torch():
    code = (
        "import sys, rayqc, rayqc.cli.main; rayqc.load_config; rayqc.cli.main._parser();"
        "print([m for m in ('ray', 'torch', 'pyarrow', 'rich') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
