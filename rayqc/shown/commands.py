"""How results of functions are shown; records of stages show the results of stages."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from rayqc.printable import counted
from rayqc.results import (
    Acceptance,
    EncoderRecord,
    EvaluateResult,
    InspectResult,
    RunResult,
    SelectResult,
    Table3,
    UntilResult,
    WorthResult,
)
from rayqc.shown.base import (
    Shown,
    Table,
    acceptance_table,
    control_words,
    coverage_lines,
    duplicate_words,
    few_tests_lines,
    harm_words,
    percent,
    plain,
    points,
)
from rayqc.tool_results import (
    CleanResult,
    DoctorResult,
    ExportResult,
    InitResult,
    ListResult,
    ReportResult,
    SettingFacts,
    StateResult,
)
from rayqc.verdicts import OF_EVIDENCE

FAULTY = ("mislabelled", "early")
"""Faulty entries of the demo's pool `generator`; only the closing lines know of them."""
SET_MEASURES: tuple[Literal["coverage", "recall", "different"], ...] = (
    "coverage",
    "recall",
    "different",
)
"""Measures of a chosen set that are shown; `select.json` has all."""
SET_ARMS = {"real": "real alone", "all": "all accepted", "random": "random", "accepted": "selected"}
"""Arms of the classifier stage, as they are called of a chosen set."""


def whole_run(result: RunResult, folder: str) -> Shown:
    """Acceptance, the paper's Table 3 with its control, other figures, and where the files are."""
    table3_row, acceptance = result["table3"], result["acceptance"]
    other_arms = (("all", table3_row["all"]), ("rejected", table3_row["rejected"]))
    copy_share = acceptance["near_copy_share"]
    differences = table3_row["differences"]
    control, harm = control_words(differences), harm_words(differences)
    return [
        acceptance_table(acceptance),
        *([_arms_table(table3_row)] if table3_row["seeds"] else []),
        *(f"{name}: {percent(value)}" for name, value in other_arms if value),
        *(f"{name}: {points(value)}" for name, value in table3_row["differences"].items()),
        *([f"control: {control}"] if control else []),
        *([f"harm: {harm}"] if harm else []),
        *few_tests_lines(result["classify"]),
        *_entry_lines(acceptance),
        *_encoder_lines(result["encoder"]),
        *coverage_lines(result["regions"]),
        f"near copies of a reference: {copy_share:.1%} of the accepted",
        *_same_lines(acceptance),
        f"to look at: {folder}/report.html in a browser; all figures: result.json",
        f"accepted images: {folder}/filtered/accepted/*.parquet",
    ]


def demo(result: RunResult, folder: str) -> Shown:
    """A whole run, and how many of the demo's faulty images were set aside."""
    by_entry = result["acceptance"]["by_entry"]
    lines = []
    if set(FAULTY) <= set(by_entry):
        faulty = [row for name, row in by_entry.items() if name in FAULTY]
        sound = [row for name, row in by_entry.items() if name not in FAULTY]
        found = sum(row["judged"] - row["accepted"] for row in faulty)
        kept = sum(row["accepted"] for row in sound)
        lines = [
            f"faults, which the filter was not told of: {found:,} of "
            f"{sum(row['judged'] for row in faulty):,} set aside; sound images: {kept:,} of "
            f"{sum(row['judged'] for row in sound):,} kept"
        ]
    return [*whole_run(result, folder), *lines]


def _same_lines(acceptance: Acceptance) -> list[str]:
    """Copies of real images and duplicates; nothing where there are none."""
    counts = {
        "a reference": acceptance.get("same_as_reference", 0),
        "a test image": acceptance.get("same_as_test", 0),
    }
    same = [f"with the bytes of {what}: {count:,}" for what, count in counts.items() if count]
    if "duplicates" in acceptance:
        same += [f"duplicates: {words}" for words in duplicate_words(acceptance["duplicates"])]
    return same


def drawn_until(result: UntilResult, folder: str) -> Shown:
    """How drawing until full ended, and what an accepted image cost."""
    lines = []
    for name, row in result["by_generator"].items():
        given_up = f"; gave up {', '.join(row['given_up'])}" if row["given_up"] else ""
        lines.append(f"{name}: {row['accepted']:,} of {row['drawn']:,} accepted{given_up}")
    seconds = "" if result["seconds"] is None else f", {result['seconds']:.0f} s"
    return [_filled_table(result), *lines, f"{result['rounds']} rounds{seconds}; in {folder}"]


def inspected(result: InspectResult, folder: str) -> Shown:
    """The verdict and why, then the numbers behind it; `--json` has the whole row."""
    evidence = [
        f"{name.removesuffix(OF_EVIDENCE)} {value:.2f}"
        for name, value in result.items()
        if name.endswith(OF_EVIDENCE) and value is not None
    ]
    facts = {"why": result["why"], "evidence": ", ".join(evidence)}
    if result["score"] is not None:
        facts["score"] = f"{plain(result['score'])}, decided by {result['decided_by']}"
        facts["p-value"] = result["p_value"] and plain(result["p_value"])
    if result["nearest_reference"] is not None:
        copy = ", and nearly a copy of it" if result["near_copy"] else ""
        facts["nearest"] = f"{result['nearest_reference']} of {result['nearest_class']}{copy}"
    facts |= {name: result[name] for name in ("source", "parent", "message", "picture")}
    named = f" of class {result['class']}" if result["class"] is not None else ""
    return [
        f"{result['id']}{named}: {result['verdict']}",
        *(f"{name:>8}: {value}" for name, value in facts.items() if value),
    ]


def selected(result: SelectResult, folder: str) -> Shown:
    """What each class's set is beside a random one, and accuracies if they were measured."""
    rows = []
    for name, row in result["sets"].items():
        chosen, random = row["set"], row["random"]
        pairs = [
            f"{chosen[key]:.2f} / {random[key]:.2f}" if chosen and random else "-"
            for key in SET_MEASURES
        ]
        rows.append((name, f"{row['accepted']:,}", f"{row['selected']:,}", *pairs))
    table = Table(
        columns=("class", "accepted", "selected", *SET_MEASURES),
        rows=rows,
        title=f"by {result['by']} / as many at random",
    )
    measured = result.get("classify", {})
    arms, differences = measured.get("arms", {}), measured.get("differences", {})
    return [
        table,
        *(f"{SET_ARMS[name]}: {percent(arm['accuracy'])}" for name, arm in arms.items()),
        *(
            f"{' - '.join(SET_ARMS[part] for part in name.split(' - '))}: {points(value)}"
            for name, value in differences.items()
        ),
        f"in {folder}",
    ]


def worth(result: WorthResult, folder: str) -> Shown:
    """Accuracy by the set's size and the way it was chosen, and what size is enough."""
    ways = list(result["sizes"])
    rows = [("0", "0", *(percent(result["real"]) for _ in ways))]
    for number, first in enumerate(result["sizes"][ways[0]]):
        cells = (percent(result["sizes"][way][number]["accuracy"]) for way in ways)
        rows.append((f"{first['per_class']:,}", f"{first['added']:,}", *cells))
    title = f"test accuracy of a linear probe, mean over {result['seeds']} seeds, 95% interval"
    table = Table(columns=("images a class", "added", *ways), rows=rows, title=title)
    return [table, result["says"]]


def page_written(result: ReportResult, folder: str) -> Shown:
    """Where the page is."""
    return [f"page to open in a browser: {result['report']}"]


def begun(result: InitResult, folder: str) -> Shown:
    """What was found, the file written, and what comes next."""
    name = result["settings"]
    run = f"rayqc run {name} --out runs/{PurePath(name).stem}"
    commands = {
        f"rayqc check {name}": "does every image decode?",
        f"rayqc plan {name}": "what will it take?",
        f"{run} --limit {result['sample']}": "a sample of the pool first",
        f"{run} --redo": "all of it",
    }
    width = max(map(len, commands))
    return [
        *result["found"],
        f"settings for it in {name}; next:",
        *(f"  {command.ljust(width)}   {what}" for command, what in commands.items()),
    ]


def stood(result: StateResult, folder: str) -> Shown:
    """A line for each stage and each ledger, and who is at work."""
    lines = []
    for stage in result["stages"]:
        at_work = stage["status"] != "begun" or result["owner"]
        words = stage["status"] if at_work else "begun, and stopped"
        took = f" in {stage['seconds']:,.0f} s" if stage["seconds"] is not None else ""
        when = f", {stage['at']}" if stage["at"] else ""
        lines.append(f"{stage['name']:>9}: {words}{took}{when}")
    for name, ledger in result["ledgers"].items():
        outcomes = ", ".join(f"{count:,} {kind}" for kind, count in ledger["outcomes"].items())
        end = "whole" if ledger["whole"] else f"{ledger['units_done']:,}/{ledger['units']:,} units"
        images = f"{ledger['images_done']:,}/{ledger['images']:,} images"
        lines.append(f"{name}: {images}, {outcomes or '-'}; {end}")
    return [*lines, *([result["owner"]] if result["owner"] else [])]


def meant(result: list[SettingFacts], folder: str) -> Shown:
    """Two lines for each setting: its name and default, and what it means."""
    return [
        line
        for row in result
        for line in (
            f"{row['name']} (default: {row['default']}; changes: {row['changes']})",
            f"    {row['means']}",
        )
    ]


def listed(result: ListResult, folder: str) -> Shown:
    """A line for each image: id, class, verdict, score, why."""
    rows = [
        (
            row["id"],
            row["class"] or "-",
            row["verdict"],
            "-" if row["score"] is None else f"{row['score']:.2f}",
            row["why"],
        )
        for row in result["rows"]
    ]
    if not rows:
        return ["no image is like that"]
    width = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(cell.ljust(width[n]) for n, cell in enumerate(row)).rstrip() for row in rows]
    more = result["count"] - len(rows)
    said = f"all {result['count']:,} in {result['csv']}" if result["csv"] else ""
    if more and not said:
        said = f"{more:,} more; --first N shows more, --csv FILE writes all {result['count']:,}"
    said = said or counted(result["count"], "image")
    return [*lines, said]


def exported(result: ExportResult, folder: str) -> Shown:
    """How many images were written, and how they are read."""
    return [f"{result['images']:,} images in {result['out']}", result["read_with"]]


def evaluated(result: EvaluateResult, folder: str) -> Shown:
    """Where the tables are."""
    return [f"tables in {folder}/evaluation.md, all figures in evaluation.json"]


def cleaned(result: CleanResult, folder: str) -> Shown:
    """Which files were, or would be, deleted."""
    action = "would be deleted" if "would_delete" in result else "deleted"
    return [f"{len(result['files']):,} files {action}", *result["files"]]


def examined(result: DoctorResult, folder: str) -> Shown:
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
    title = f"test accuracy, mean over {row['seeds']} seeds, 95% interval"
    figures = (
        str(low) if low == high else f"{low} to {high}",
        f"{row['pool']:,}",
        f"{row['accepted']:,}",
        *(percent(value) for value in (row["before"], row["after"], row["random"])),
    )
    columns = ("images a class", "pool", "accepted", "before", "after", "random")
    return Table(columns=columns, rows=[figures], title=title)


def _filled_table(result: UntilResult) -> Table:
    """What an accepted image of each class cost, and how the class ended."""
    rows = []
    for name, row in result["filled"].items():
        draws, seconds = row["draws_an_accepted"], row["seconds_an_accepted"]
        cells = (
            name,
            f"{row['drawn']:,}",
            f"{row['accepted']:,}",
            (f"{draws:.2f}" if draws else "-") + _interval_text(row.get("interval")),
            f"{seconds:.3f}" if seconds else "-",
            row["end"],
        )
        rows.append(cells)
    return Table(
        columns=("class", "drawn", "accepted", "draws each", "seconds each", "end"),
        rows=rows,
        title="draws that an accepted image took, and intervals that hold whenever one stops",
    )


def _interval_text(interval: list[float | None] | None) -> str:
    if interval is None:
        return ""
    low, high = (f"{end:.2f}" if end else "" for end in interval)
    return f" ({low} to {high})" if high else f" (at least {low})"


def _entry_lines(acceptance: Acceptance) -> list[str]:
    """A line for each pool entry, if there are several."""
    entries = acceptance.get("by_entry", {})
    return [
        f"{name}: {row['accepted']:,} of {row['judged']:,} accepted, {row['near_copies']:,} near "
        f"copies, nearest to {row['references_met']:.0%} of the references"
        for name, row in entries.items()
        if len(entries) > 1
    ]


def _encoder_lines(record: EncoderRecord) -> list[str]:
    """How many of a VAE's latent units are active."""
    if "active_units" not in record:
        return []
    return [f"encoder: {record['active_units']} of {record['latent_dim']} latent units active"]
