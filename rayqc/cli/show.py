"""Results of commands as a person sees them; those of stages are shown by their own records."""

from __future__ import annotations

from collections.abc import Mapping

from rayqc.results import (
    Acceptance,
    CheckResult,
    CleanResult,
    DoctorResult,
    EncoderRecord,
    EvaluateResult,
    InspectResult,
    Interval,
    RunResult,
    Table3,
    UntilResult,
)
from rayqc.shown import (
    Shown,
    Table,
    acceptance_table,
    coverage_lines,
    percent,
    plain,
    points,
)


def whole_run(result: RunResult, place: str) -> Shown:
    """Acceptance, the paper's Table 3 with its control, what stands behind it, and where it is."""
    row, acceptance = result["table3"], result["acceptance"]
    others = (("all", row["all"]), ("rejected", row["rejected"]))
    copies = acceptance["near_copy_share"]
    return [
        acceptance_table(acceptance),
        _arms_table(row),
        *(f"{name}: {percent(value)}" for name, value in others if value),
        *(f"{name}: {points(value)}" for name, value in row["differences"].items()),
        *_control(row["differences"]),
        *_entries(acceptance),
        *_encoder(result["encoder"]),
        *coverage_lines(result["regions"]),
        f"near copies of a reference: {copies:.1%} of the accepted",
        f"images to look at: {place}/contact_sheet.png; all figures: result.json",
        f"accepted images: {place}/filtered/accepted/*.parquet",
    ]


def drawn_until(result: UntilResult, place: str) -> Shown:
    """What drawing until full came to, and what an accepted image cost."""
    lines = []
    for name, row in result["by_generator"].items():
        lost = f"; gave up {', '.join(row['given_up'])}" if row["given_up"] else ""
        lines.append(f"{name}: {row['accepted']:,} of {row['drawn']:,} accepted{lost}")
    spent = "" if result["seconds"] is None else f", {result['seconds']:.0f} s"
    return [_filled_table(result), *lines, f"{result['rounds']} rounds{spent}; in {place}"]


def inspected(result: InspectResult, place: str) -> Shown:
    """An image's row."""
    return [
        f"{name:>18}: {'-' if value is None else plain(value)}" for name, value in result.items()
    ]


def evaluated(result: EvaluateResult, place: str) -> Shown:
    """Where the tables are."""
    return [f"tables in {place}/evaluation.md, all figures in evaluation.json"]


def checked(result: CheckResult, place: str) -> Shown:
    """How many images decode, and why the others do not."""
    return [
        f"{result['decoded']:,} of {result['images']:,} images decoded",
        *(
            f"{count:>9,} {reason}; such as {result['examples'][reason][0]}"
            for reason, count in result["reasons"].items()
        ),
        f"{result['images_a_second']:,.0f} images a second, "
        f"peak memory {result['peak_memory_mb']:,.0f} MB",
    ]


def cleaned(result: CleanResult, place: str) -> Shown:
    """Which files were, or would be, deleted."""
    what = "would be deleted" if "would_delete" in result else "deleted"
    return [f"{len(result['files']):,} files {what}", *result["files"]]


def examined(result: DoctorResult, place: str) -> Shown:
    """Versions, nodes, warnings."""
    lines: Shown = [", ".join(f"{name} {version}" for name, version in result["versions"].items())]
    for node in result["nodes"]:
        text = f"{node['host']}: {node['cpus']:.0f} CPUs, {node['gpus']:.0f} GPUs"
        names = sorted(set(node.get("gpu_names", ())))
        text += f" ({', '.join(names)})" if names else ""
        text += f", {node['memory_bytes'] / 1e9:.1f} GB for work"
        lines.append(f"{text}, {node['object_store_bytes'] / 1e9:.1f} GB for objects")
    warnings = [f"warning: {text}" for text in result["warnings"]]
    return [*lines, *(warnings or ["nothing found wrong"])]


def _arms_table(row: Table3) -> Table:
    """The paper's Table 3 and its control."""
    low, high = row["images_a_class"]["min"], row["images_a_class"]["max"]
    title = f"test accuracy, mean over {row['seeds']} seeds, 95% interval" if row["seeds"] else None
    figures = (
        str(low) if low == high else f"{low} to {high}",
        f"{row['pool']:,}",
        f"{row['accepted']:,}",
        *(percent(value) for value in (row["before"], row["after"], row["random"])),
    )
    columns = ("images a class", "pool", "accepted", "before", "after", "random")
    return Table(columns=columns, rows=[figures], title=title)


def _filled_table(result: UntilResult) -> Table:
    """What an accepted image of each class cost."""
    rows = []
    for name, row in result["filled"].items():
        each, seconds = row["draws_an_accepted"], row["seconds_an_accepted"]
        cells = (
            name,
            f"{row['drawn']:,}",
            f"{row['accepted']:,}",
            (f"{each:.2f}" if each else "-") + _range(row.get("interval")),
            f"{seconds:.3f}" if seconds else "-",
            row["end"],
        )
        rows.append(cells)
    return Table(
        columns=("class", "drawn", "accepted", "draws each", "seconds each", "end"),
        rows=rows,
        title="draws that an accepted image took, and intervals that hold whenever one stops",
    )


def _range(interval: list[float | None] | None) -> str:
    if interval is None:
        return ""
    low, high = (f"{end:.2f}" if end else "" for end in interval)
    return f" ({low} to {high})" if high else f" (at least {low})"


def _entries(acceptance: Acceptance) -> list[str]:
    """What came of each of several pool entries."""
    entries = acceptance.get("by_entry", {})
    return [
        f"{name}: {row['accepted']:,} of {row['judged']:,} accepted, {row['near_copies']:,} near "
        f"copies, nearest to {row['references_met']:.0%} of the references"
        for name, row in entries.items()
        if len(entries) > 1
    ]


def _encoder(record: EncoderRecord) -> list[str]:
    """A VAE's active units."""
    if "active_units" not in record:
        return []
    return [f"encoder: {record['active_units']} of {record['latent_dim']} latent units active"]


def _control(differences: Mapping[str, Interval]) -> list[str]:
    """What the control says, in a sentence."""
    gain = differences.get("accepted - random")
    if gain is None or gain["mean"] is None or gain["half_width"] is None:
        return []
    if gain["mean"] - gain["half_width"] > 0:
        verdict = "the filter beat a random subset of the same size"
    elif gain["mean"] + gain["half_width"] < 0:
        verdict = "the filter did worse than a random subset of the same size"
    else:
        verdict = "no difference from a random subset of the same size was shown"
    return [f"control: {verdict} ({points(gain)})"]
