"""Picture `acceptance.png`: share accepted against the coverage asked for."""

from __future__ import annotations

import io
import warnings

from rayqc.printable import printable
from rayqc.report.base import Output
from rayqc.results import Acceptance


def acceptance_curve(facts: Acceptance, coverage: float) -> bytes:
    """PNG bytes: share accepted against coverage, of all images and of each class."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (slow, and only pictures need it)

    figure = Figure(figsize=(5.6, 4.0), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    x = [100 * value for value in facts["coverages"]]
    names = sorted(facts["by_class"], key=lambda name: facts["by_class"][name]["share"])
    for name in names:
        y = [100 * value for value in facts["by_class"][name]["curve"]]
        is_outermost = name in (names[0], names[-1])
        axes.plot(x, y, color="#b0b0b8", linewidth=1.6 if is_outermost else 0.8)
    for name in {names[0], names[-1]} if names else ():
        last_share = 100 * facts["by_class"][name]["curve"][-1]
        text, position = f" {printable(name)}", (x[-1], last_share)
        axes.annotate(text, position, fontsize=8, color="#60606a", va="center", parse_math=False)
    axes.plot(
        x, [100 * value for value in facts["curve"]], color="#22774f", linewidth=2.4, label="all"
    )
    axes.plot(x, x, color="#c43e34", linewidth=1, linestyle=":", label="fresh real images")
    axes.axvline(100 * coverage, color="#303038", linewidth=0.8)
    axes.set_xlabel("coverage asked for, % of fresh real images")
    axes.set_ylabel("accepted, % of the pool")
    axes.set_ylim(0, 102)
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    sink = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # matplotlib draws a box instead
        figure.savefig(sink, format="png")
    return sink.getvalue()


OUTPUT = Output(make=lambda pool: acceptance_curve(pool.acceptance, pool.coverage))
