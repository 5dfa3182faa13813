"""Draw the package's rooms and what each imports: `python docs/draw_rooms.py`.

Writes docs/pictures/rooms.svg. Floors are found, not named: a room stands one floor above the
highest room that it imports. A line leads to a room that is imported and that no other line leads
to already. A test holds the picture to the code.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "pictures" / "rooms.svg"

WIDTH, FLOOR, LEFT = 860, 74, 24
BOX_HEIGHT, GAP = 42, 14
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #26262c; text-anchor: middle }
  rect { fill: #f4f4f1; stroke: #8a8a94 }
  path { fill: none; stroke: #22774f; stroke-width: 1.4 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e8e8ea } rect { fill: #26262c; stroke: #70707a }
    path { stroke: #5fc795 }
  }
"""
GROUND = "ground"
"""All modules that lie beside the rooms, as one."""


def rooms() -> dict[str, list[Path]]:
    """Files by room."""
    files: dict[str, list[Path]] = {}
    for path in sorted((ROOT / "rayqc").rglob("*.py")):
        if path.parent == ROOT / "rayqc" and path.name in ("__init__.py", "__main__.py"):
            continue
        files.setdefault(_room(path.relative_to(ROOT / "rayqc").parts[0]), []).append(path)
    return files


def imports(files: dict[str, list[Path]]) -> dict[str, set[str]]:
    """Rooms by the room that imports them."""
    found: dict[str, set[str]] = {}
    for room, paths in files.items():
        modules = {module for path in paths for module in _modules(path)}
        own = {module.split(".")[1] for module in modules if module.startswith("rayqc.")}
        found[room] = {_room(f"{name}.py" if name not in files else name) for name in own} - {room}
    return found


def floors(imported: dict[str, set[str]]) -> dict[str, int]:
    """Floor by room: the longest way down."""

    def floor(room: str) -> int:
        return 1 + max((floor(below) for below in imported[room]), default=-1)

    return {room: floor(room) for room in imported}


def direct(imported: dict[str, set[str]]) -> dict[str, set[str]]:
    """The imports that no way through another import leads to."""

    def below(room: str) -> set[str]:
        return imported[room].union(*(below(other) for other in imported[room]))

    return {
        room: {other for other in own if not any(other in below(third) for third in own)}
        for room, own in imported.items()
    }


def picture() -> str:
    """The SVG."""
    imported = imports(rooms())
    lines_of = direct(imported)
    floor_of = floors(imported)
    top = max(floor_of.values())
    boxes: dict[str, tuple[float, float, float]] = {}
    for floor in range(top + 1):
        row = sorted(room for room, its_floor in floor_of.items() if its_floor == floor)
        width = min((WIDTH - 2 * LEFT - GAP * (len(row) - 1)) / len(row), 240)
        left = (WIDTH - width * len(row) - GAP * (len(row) - 1)) / 2
        for number, room in enumerate(row):
            boxes[room] = (left + number * (width + GAP), LEFT + (top - floor) * FLOOR, width)
    lines = [_arrow(boxes[room], boxes[below]) for room in boxes for below in lines_of[room]]
    shapes = [_box(room, boxes[room]) for room in boxes]
    height = 2 * LEFT + top * FLOOR + BOX_HEIGHT
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    title = "<title>Rooms of the package; lines lead to what each stands on</title>"
    return "\n".join([head, title, f"<style>{STYLE}</style>", *sorted(lines), *shapes, "</svg>\n"])


def _room(first: str) -> str:
    return GROUND if first.endswith(".py") or first == "config" else first


def _modules(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return found


def _arrow(above: tuple[float, float, float], below: tuple[float, float, float]) -> str:
    x, y = above[0] + above[2] / 2, above[1] + BOX_HEIGHT
    end_x, end_y = below[0] + below[2] / 2, below[1]
    middle = (y + end_y) / 2
    curve = f"C{x:.0f} {middle:.0f} {end_x:.0f} {middle:.0f} {end_x:.0f} {end_y:.0f}"
    return f'<path d="M{x:.0f} {y:.0f} {curve}"/>'


def _box(room: str, box: tuple[float, float, float]) -> str:
    x, y, width = box
    middle = x + width / 2
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{BOX_HEIGHT}" rx="5"/>'
        f'<text x="{middle:.0f}" y="{y + 26:.0f}">{room}</text>'
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
