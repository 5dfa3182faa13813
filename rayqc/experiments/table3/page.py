"""Table 3 as Markdown, beside the paper's own figures."""

from __future__ import annotations

from rayqc.experiments.detection import Record
from rayqc.experiments.markdown import table
from rayqc.experiments.table3.published import PUBLISHED
from rayqc.results import Interval

TITLES = {
    "augment": "a pool of augmentations",
    "faults": "the same pool, a share of it faulty",
    "gan": "a pool of a GAN trained on the references",
}
RANDOM = "random"
ARMS = ("real", "all", "sphere", "calibrated", "selected", "oracle")
"""In the tables; random arms stand there as what the others are compared with."""


def table3_page(cells: list[Record]) -> str:
    """Tables of the cells that `summarise_table3` gave."""
    sections = []
    of_paper = [cell for cell in cells if "paper" in cell]
    if of_paper:
        sections += [
            "\n### Table 3, the paper's protocol: pools of augmentations, nothing augmented while "
            "training\n",
            _paper(of_paper),
            "\n### The same protocol, with what the paper left out\n",
            _arms(of_paper, "paper", "augment"),
        ]
    for pool, title in TITLES.items():
        some = [cell for cell in cells if pool in cell.get("today", {"pools": ()})["pools"]]
        if some:
            sections += [f"\n### Today's protocol, {title}\n", _arms(some, "today", pool)]
    from_scratch = [cell for cell in cells if "scratch" in cell]
    if from_scratch:
        sections += [
            "\n### Today's protocol, the best network trained from scratch\n",
            _arms(from_scratch, "scratch", "augment"),
        ]
    of_today = [cell for cell in cells if "today" in cell]
    if of_today:
        sections += ["\n### What cross-validation on the references chose\n", _chosen(of_today)]
    return "\n".join(sections) + "\n"


def _names(cell: Record, protocol: str) -> list[str]:
    of_paper = ", VAE of the paper's width" if cell["encoder_width"] == 1 else ""
    return [cell["data"] + of_paper, str(cell["per_class"]), str(cell[protocol]["draws"])]


def _paper(cells: list[Record]) -> str:
    header = ["data", "a class", "draws", "pool"]
    header += ["accepted, paper", "here", "before, paper", "here", "after, paper", "here"]
    header += ["as many at random"]
    rows = []
    for cell in cells:
        measured = cell["paper"]["pools"]["augment"]
        published = PUBLISHED.get((cell["data"], cell["per_class"]))
        theirs = ["", "", ""]
        if published is not None and published.pool == cell["pool"]:
            theirs = [
                f"{published.accepted / published.pool:.0%}",
                f"{published.before:.1f}",
                f"{published.after:.1f}",
            ]
        ours = [
            f"{measured['accepted']['sphere']:.0%}",
            _mean(measured["arms"]["real"]),
            _mean(measured["arms"]["sphere"]),
        ]
        both = [text for pair in zip(theirs, ours, strict=True) for text in pair]
        random = _mean(measured["arms"]["random: sphere"])
        rows.append([*_names(cell, "paper"), f"{cell['pool']:,}", *both, random])
    return table(header, rows)


def _arms(cells: list[Record], protocol: str, pool: str) -> str:
    """Accuracies of the arms that are there, and differences from a random arm of equal size."""
    measured = [cell[protocol]["pools"][pool] for cell in cells]
    arms = [arm for arm in ARMS if arm in measured[0]["arms"]]
    pairs = list(measured[0]["differences"])
    kinds = list(measured[0]["accepted"])
    told = measured[0]["sound_accepted"] is not None
    header = ["data", "a class", "draws", *(f"accepted: {kind}" for kind in kinds)]
    header += [f"of these sound: {kind}" for kind in kinds] if told else []
    header += [*arms, *(pair.replace(f"{RANDOM}: ", f"{RANDOM} ") for pair in pairs), "agreement"]
    rows = []
    for cell, one in zip(cells, measured, strict=True):
        shares = [f"{one['accepted'][kind]:.0%}" for kind in kinds]
        shares += [f"{one['sound_accepted'][kind]:.0%}" for kind in kinds] if told else []
        agreement = "" if one["agreement"] is None else f"{one['agreement']:.2f}"
        rows.append(
            [
                *_names(cell, protocol),
                *shares,
                *(_mean(one["arms"][arm]) for arm in arms),
                *(_difference(one["differences"][pair]) for pair in pairs),
                agreement,
            ]
        )
    return table(header, rows)


def _chosen(cells: list[Record]) -> str:
    """Accuracies by cross-validation, and how often each classifier was chosen."""
    told = [cell["today"]["cross_validated"] for cell in cells]
    names = list(dict.fromkeys(name for one in told for name in one))
    header = ["data", "a class", "draws", *names, "hours of a core, both protocols"]
    rows = []
    for cell, one in zip(cells, told, strict=True):
        times = cell["today"]["classifiers"]
        texts = [
            f"{one[name]:.1%}, chosen in {times.get(name, 0)}" if name in one else ""
            for name in names
        ]
        rows.append([*_names(cell, "today"), *texts, f"{cell['hours']:.1f}"])
    return table(header, rows)


def _mean(interval: Interval) -> str:
    return f"{interval['mean']:.1f}"


def _difference(interval: Interval) -> str:
    """Bold where its interval leaves 0 out."""
    mean, half_width = interval["mean"], interval["half_width"]
    if mean is None or half_width is None:
        return "" if mean is None else f"{mean:+.1f}"
    text = f"{mean:+.1f} ± {half_width:.1f}"
    return f"**{text}**" if abs(mean) > half_width else text
