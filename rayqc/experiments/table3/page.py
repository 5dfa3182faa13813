"""Table 3 as Markdown, beside the paper's own figures."""

from __future__ import annotations

from collections.abc import Callable

from rayqc.experiments.detection import Record
from rayqc.experiments.markdown import table
from rayqc.experiments.table3.published import PUBLISHED
from rayqc.results import Interval

TITLES = {
    "augment": "a pool of augmentations",
    "faults": "the same pool, a share of it faulty",
    "gan": "a pool of a GAN trained on the references",
}
Column = Callable[[Record], str]


def table3_page(cells: list[Record]) -> str:
    """Tables of the cells that `summarise_table3` gave."""
    sections = [
        "\n### Table 3, the paper's protocol: pools of augmentations, nothing augmented while "
        "training\n",
        _paper(cells),
        "\n### The same protocol, with what the paper left out\n",
        _arms(cells, "paper", "augment"),
    ]
    for pool, title in TITLES.items():
        some = [cell for cell in cells if pool in cell["today"]]
        if some:
            sections += [f"\n### Today's protocol, {title}\n", _arms(some, "today", pool)]
    some = [cell for cell in cells if cell["scratch"]]
    if some:
        sections += [
            "\n### Today's protocol, the best network trained from scratch\n",
            _arms(some, "scratch", "augment"),
        ]
    sections += ["\n### What cross-validation on the references chose\n", _chosen(cells)]
    return "\n".join(sections) + "\n"


def _names(cell: Record) -> list[str]:
    width = cell["encoder_width"]
    of_paper = ", VAE of the paper's width" if width == 1 else ""
    return [cell["data"] + of_paper, str(cell["per_class"]), str(cell["draws"])]


def _paper(cells: list[Record]) -> str:
    header = ["data", "a class", "draws", "pool"]
    header += ["accepted, paper", "here", "before, paper", "here", "after, paper", "here"]
    header += ["as many at random"]
    rows = []
    for cell in cells:
        measured = cell["paper"]["augment"]
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
        rows.append([*_names(cell), f"{cell['pool']:,}", *both, random])
    return table(header, rows)


def _arms(cells: list[Record], protocol: str, pool: str) -> str:
    """Accuracies of the arms that are there, and differences from a random arm of equal size."""
    measured = [cell[protocol][pool] for cell in cells]
    arms = list(measured[0]["arms"])
    pairs = list(measured[0]["differences"])
    kinds = list(measured[0]["accepted"])
    told = measured[0]["sound_accepted"] is not None
    header = ["data", "a class", "draws", *(f"accepted: {kind}" for kind in kinds)]
    header += [f"of these sound: {kind}" for kind in kinds] if told else []
    header += [*arms, *pairs, "agreement"]
    rows = []
    for cell, one in zip(cells, measured, strict=True):
        shares = [f"{one['accepted'][kind]:.0%}" for kind in kinds]
        shares += [f"{one['sound_accepted'][kind]:.0%}" for kind in kinds] if told else []
        agreement = "" if one["agreement"] is None else f"{one['agreement']:.2f}"
        rows.append(
            [
                *_names(cell),
                *shares,
                *(_mean(one["arms"][arm]) for arm in arms),
                *(_difference(one["differences"][pair]) for pair in pairs),
                agreement,
            ]
        )
    return table(header, rows)


def _chosen(cells: list[Record]) -> str:
    """Accuracies by cross-validation, and how often each classifier was chosen."""
    names = list(dict.fromkeys(name for cell in cells for name in cell["cross_validated"]))
    header = ["data", "a class", "draws", *names, "hours of a core"]
    rows = []
    for cell in cells:
        texts = []
        for name in names:
            found = cell["cross_validated"].get(name)
            times = cell["classifiers"].get(name, 0)
            texts.append("" if found is None else f"{found:.1%}, chosen {times} times")
        rows.append([*_names(cell), *texts, f"{cell['hours']:.1f}"])
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
