"""Picture `table3.png`: accuracy against references a class, by both protocols."""

from __future__ import annotations

import io

from rayqc.experiments.detection import Record
from rayqc.experiments.table3.published import PUBLISHED

LINES = (
    ("today", "calibrated", "today: accepted (calibrated)", "#22774f", "-"),
    ("today", "random: calibrated", "today: as many at random", "#22774f", ":"),
    ("today", "real", "today: references alone", "#303038", "-"),
    ("paper", "sphere", "paper's protocol: accepted (sphere)", "#c43e34", "-"),
    ("paper", "random: sphere", "paper's protocol: as many at random", "#c43e34", ":"),
    ("paper", "real", "paper's protocol: references alone", "#a0a0a8", "-"),
)
"""Protocol, arm, label, colour and style of each line; all of the pool `augment`."""


def table3_plot(cells: list[Record]) -> bytes:
    """PNG bytes, one panel a data set; crosses are the paper's own figures after filtering."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (slow, and only pictures need it)

    width = min(cell["encoder_width"] for cell in cells)
    cells = [cell for cell in cells if cell["encoder_width"] == width]
    names = list(dict.fromkeys(cell["data"] for cell in cells))
    figure = Figure(figsize=(4.2 * len(names), 4.6), dpi=120, layout="constrained")
    for panel, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), panel + 1)
        own = sorted((c for c in cells if c["data"] == name), key=lambda c: c["per_class"])
        for protocol, arm, label, colour, style in LINES:
            cells_here = [cell for cell in own if protocol in cell]
            found = [cell[protocol]["pools"]["augment"]["arms"][arm] for cell in cells_here]
            axes.errorbar(
                [cell["per_class"] for cell in cells_here],
                [one["mean"] for one in found],
                [one["half_width"] or 0 for one in found],
                label=label,
                color=colour,
                linestyle=style,
                linewidth=1.6,
                capsize=2,
            )
        x = [cell["per_class"] for cell in own]
        published = {n: PUBLISHED[name, n].after for n in x if (name, n) in PUBLISHED}
        if published:
            axes.plot(list(published), list(published.values()), "x", color="#60606a")
        axes.set_xscale("log")
        axes.set_xticks(x, [str(n) for n in x])
        axes.minorticks_off()
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("references a class")
        # An interval of two draws may reach beyond what an accuracy can be.
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, 0), min(high, 101))
    figure.axes[0].set_ylabel("test accuracy, %")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    sink = io.BytesIO()
    figure.savefig(sink, format="png")
    return sink.getvalue()
