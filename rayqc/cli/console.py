"""What a person sees: progress, log lines, errors and the closing table."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from rich import box
from rich.console import Console as RichConsole
from rich.logging import RichHandler
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from rayqc.printable import printable
from rayqc.progress import Progress, Stage
from rayqc.schema import VERDICTS


class Console:
    """Log lines and progress go to standard error, results to standard output."""

    def __init__(self, quiet: bool) -> None:
        self._err = RichConsole(stderr=True, highlight=False)
        self._out = RichConsole(highlight=False)
        live = self._err.is_terminal and not quiet
        handler: logging.Handler = logging.StreamHandler()
        if live:
            handler = RichHandler(
                console=self._err, show_time=False, show_level=False, show_path=False, markup=False
            )
        handler.setFormatter(_Plain())
        logger = logging.getLogger("rayqc")
        logger.handlers = [handler]
        logger.setLevel(logging.ERROR if quiet else logging.INFO)
        logger.propagate = False
        self.progress = LiveProgress(self._err) if live else Progress()

    def error(self, message: str, lines: bool = False) -> None:
        """One line, or some of a traceback; never wrapped or interpreted."""
        text = printable(f"rayqc: {message}", keep="\n" if lines else "")
        self._err.print(text, style="bold red", markup=False, soft_wrap=True)

    def show(self, found: dict[str, Any], place: str) -> None:
        """The result of a command as a table, and where its files are."""
        if "table3" in found:
            self._out.print(_acceptance_table(found["acceptance"]["by_class"]))
            self._out.print(_arms_table(found))
            self._notes(found)
            self._line(f"images to look at: {place}/contact_sheet.png; all figures: result.json")
            self._line(f"accepted images: {place}/filtered/accepted/*.parquet")
        elif "arms" in found:
            for name, arm in found["arms"].items():
                self._line(f"{name}: {_percent(arm['accuracy'])}, {arm['added']:,} images added")
            for name, value in found["differences"].items():
                self._line(f"{name}: {_points(value)}")
        elif "verdict" in found:
            for name, value in found.items():
                self._line(f"{name:>18}: {'-' if value is None else _plain(value)}")
        elif "detection" in found:
            self._line(f"tables in {place}/evaluation.md, all figures in evaluation.json")
        elif "filled" in found:
            self._out.print(_filled_table(found["filled"]))
            for name, row in found["by_generator"].items():
                lost = f"; gave up {', '.join(row['given_up'])}" if row["given_up"] else ""
                self._line(f"{name}: {row['accepted']:,} of {row['drawn']:,} accepted{lost}")
            spent = "" if found["seconds"] is None else f", {found['seconds']:.0f} s"
            self._line(f"{found['rounds']} rounds{spent}; in {place}")
        elif "outcomes" in found:
            self._out.print(_counts_table(found))
            self._out.print(_acceptance_table(found["acceptance"]["by_class"]))
            self._line(f"in {place}")
        else:
            tool = next((make for key, make in TOOLS.items() if key in found), _listed)
            for line in tool(found):
                self._line(line)

    def _notes(self, found: dict[str, Any]) -> None:
        regions, encoder = found["regions"], found["encoder"]
        row = found["table3"]
        lines = [f"{name}: {_percent(row[name])}" for name in ("all", "rejected") if row[name]]
        lines += [f"{name}: {_points(value)}" for name, value in row["differences"].items()]
        lines += _verdict(row["differences"])
        lines += _entries(found["acceptance"].get("by_entry", {}))
        copies = found["acceptance"]["near_copy_share"]
        lines += [
            *_encoder(encoder),
            *_coverage(regions),
            f"near copies of a reference: {copies:.1%} of the accepted",
        ]
        for line in lines:
            self._line(line)

    def _line(self, text: str) -> None:
        self._out.print(printable(text), markup=False, soft_wrap=True)


class LiveProgress(Progress):
    """A live bar a stage, for terminals."""

    def __init__(self, console: RichConsole) -> None:
        self._console = console

    def stage(self, name: str, total: int, unit: str = "images") -> Stage:
        """See `Progress`."""
        return _LiveStage(name, total, unit, self._console)


class _LiveStage(Stage):
    def __init__(self, name: str, total: int, unit: str, console: RichConsole) -> None:
        super().__init__(name, total, unit)
        self._bars = Bars(
            TextColumn("{task.description:>9}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[text]}"),
            console=console,
            transient=True,
        )
        self._task: TaskID = self._bars.add_task(name, total=total, text="starting")
        self._bars.start()

    def moved(self, now: float) -> None:
        self._bars.update(self._task, completed=self.done, text=self.describe(now))

    def __exit__(self, *error: Any) -> None:
        self._bars.stop()
        super().__exit__(*error)


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return level + printable(record.getMessage())


def _arms_table(found: dict[str, Any]) -> Table:
    """The paper's Table 3 and its control; the other arms and the differences below it."""
    row = found["table3"]
    low, high = row["images_a_class"]["min"], row["images_a_class"]["max"]
    title = f"test accuracy, mean over {row['seeds']} seeds, 95% interval" if row["seeds"] else None
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1))
    for name in ("images a class", "pool", "accepted", "before", "after", "random"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row(
        str(low) if low == high else f"{low} to {high}",
        f"{row['pool']:,}",
        f"{row['accepted']:,}",
        *(_percent(row[name]) for name in ("before", "after", "random")),
    )
    return table


def _acceptance_table(acceptance: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="accepted by class", title_justify="left")
    for name in ("class", "judged", "accepted", "share"):
        table.add_column(name, justify="right")
    for name, row in acceptance.items():
        table.add_row(
            Text(printable(name)),
            f"{row['judged']:,}",
            f"{row['accepted']:,}",
            f"{row['share']:.1%}",
        )
    return table


def _filled_table(filled: dict[str, Any]) -> Table:
    """What an accepted image of each class cost."""
    title = "draws that an accepted image took, and intervals that hold whenever one stops"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for name in ("class", "drawn", "accepted", "draws each", "seconds each", "end"):
        table.add_column(name, justify="right")
    for name, row in filled.items():
        each, seconds = row["draws_an_accepted"], row["seconds_an_accepted"]
        table.add_row(
            Text(printable(name)),
            f"{row['drawn']:,}",
            f"{row['accepted']:,}",
            (f"{each:.2f}" if each else "-") + _range(row.get("interval")),
            f"{seconds:.3f}" if seconds else "-",
            row["end"],
        )
    return table


def _range(interval: list[float | None] | None) -> str:
    if interval is None:
        return ""
    low, high = (f"{end:.2f}" if end else "" for end in interval)
    return f" ({low} to {high})" if high else f" (at least {low})"


def _counts_table(totals: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("read", *VERDICTS):
        table.add_column(name, justify="right")
    counts = [f"{totals['outcomes'].get(name, 0):,}" for name in VERDICTS]
    table.add_row(f"{totals['read']:,}", *counts)
    return table


def _entries(found: dict[str, Any]) -> list[str]:
    """What came of each of several pool entries."""
    return [
        f"{name}: {row['accepted']:,} of {row['judged']:,} accepted, {row['near_copies']:,} near "
        f"copies, nearest to {row['references_met']:.0%} of the references"
        for name, row in found.items()
        if len(found) > 1
    ]


def _encoder(found: dict[str, Any]) -> list[str]:
    """A VAE's active units."""
    if "active_units" not in found:
        return []
    return [f"encoder: {found['active_units']} of {found['latent_dim']} latent units active"]


def _coverage(regions: dict[str, Any]) -> list[str]:
    """What the regions promise of fresh real images, and what was measured."""
    asked = f"coverage asked for: {regions['coverage']:.0%} of fresh real images"
    if "guarantee" in regions:
        said = regions["guarantee"]
        asked += f"; {said['promise']} on {said['scores']:,} scores: {said['says']}"
    else:
        asked += f"; {regions['expected_coverage']:.1%} to be expected at most"
    measured = regions["measured"]
    if not measured:
        return [asked]
    lines = [
        f"measured coverage, {name}: {part['pooled']:.1%} of {measured['images']:,} test images "
        f"(class {part['lowest_class']}: {part['lowest']:.1%})"
        for name, part in measured.items()
        if isinstance(part, dict)
    ]
    return [asked, *lines]


def _verdict(differences: dict[str, Any]) -> list[str]:
    """What the control says, in a sentence."""
    found = differences.get("accepted - random")
    if found is None or found["half_width"] is None:
        return []
    if found["mean"] - found["half_width"] > 0:
        said = "the filter beat a random subset of the same size"
    elif found["mean"] + found["half_width"] < 0:
        said = "the filter did worse than a random subset of the same size"
    else:
        said = "no difference from a random subset of the same size was shown"
    return [f"control: {said} ({_points(found)})"]


def _percent(value: dict[str, float | None] | None) -> str:
    if value is None or value["mean"] is None:
        return "-"
    half = "" if value["half_width"] is None else f" ± {100 * value['half_width']:.1f}"
    return f"{100 * value['mean']:.1f}{half}"


def _points(value: dict[str, float | None]) -> str:
    mean, half = value["mean"], value["half_width"]
    if mean is None:
        return "-"
    spread = "" if half is None else f" ± {100 * half:.1f}"
    return f"{100 * mean:+.1f}{spread} points"


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _listed(found: dict[str, Any]) -> list[str]:
    plain = {name: value for name, value in found.items() if not isinstance(value, dict | list)}
    return [f"{name}: {_plain(value)}" for name, value in plain.items()]


def _checked(found: dict[str, Any]) -> list[str]:
    return [
        f"{found['decoded']:,} of {found['images']:,} images decoded",
        *(
            f"{count:>9,} {reason}; such as {found['examples'][reason][0]}"
            for reason, count in found["reasons"].items()
        ),
        f"{found['images_a_second']:,.0f} images a second, "
        f"peak memory {found['peak_memory_mb']:,.0f} MB",
    ]


def _cleaned(found: dict[str, Any]) -> list[str]:
    what = "would be deleted" if "would_delete" in found else "deleted"
    return [f"{len(found['files']):,} files {what}", *found["files"]]


def _examined(found: dict[str, Any]) -> list[str]:
    lines = [", ".join(f"{name} {version}" for name, version in found["versions"].items())]
    for node in found["nodes"]:
        text = f"{node['host']}: {node['cpus']:.0f} CPUs, {node['gpus']:.0f} GPUs"
        names = sorted(set(node.get("gpu_names", ())))
        text += f" ({', '.join(names)})" if names else ""
        text += f", {node['memory_bytes'] / 1e9:.1f} GB for work"
        lines.append(f"{text}, {node['object_store_bytes'] / 1e9:.1f} GB for objects")
    lines += [f"warning: {text}" for text in found["warnings"]]
    return lines if found["warnings"] else [*lines, "nothing found wrong"]


TOOLS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "nodes": _examined,
    "decoded": _checked,
    "files": _cleaned,
}
"""What the results of `doctor`, `check` and `clean` have and no others do, and how to show them."""
