"""How much of what one part sees any join of several must lose, and how much rayqc's loses.

python -m benchmarks.join_bound [--images 400000]

Parts are independent, and on genuine images each is a standard normal variable. A fault moves one
of them by `shift`; which one is not known, and each is as likely. By Neyman and Pearson's lemma no
test has more power, at any level, than the likelihood ratio against that mixture: none that treats
its parts alike has a greater AUROC. Beside it stand the sum of evidences with the tails of
`DistanceScale`, at each even odds in use, the largest of the parts, and their sum.

Shape suffixes: N images, P parts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy.stats import norm

from rayqc.regions.scores.distance_scale import DISTANCE, DistanceScale, even_nats
from rayqc.regions.separation import auroc

PARTS = (2, 3, 5)
SEEN = (0.65, 0.70, 0.78, 0.84, 0.91, 0.96, 0.98)
"""AUROC of the part that is struck."""

Statistic = Callable[[np.ndarray], np.ndarray]
"""(N, P) float, standard deviations, to (N,) float; more is less usual."""


def likelihood_ratio(shift: float) -> Statistic:
    """Against the mixture of faults that move one part, each as likely, by `shift`."""
    return lambda z_NP: np.exp(shift * z_NP).mean(1)


def evidences(even: float) -> Statistic:
    """The sum of evidences, each part a term of its own, at these even odds in nats."""
    scale = DistanceScale(mean_K=np.zeros(1), spread_K=np.ones(1), even=even)

    def of(z_NP: np.ndarray) -> np.ndarray:
        own_N = np.zeros(len(z_NP), np.int64)
        odds = [scale.log_odds({DISTANCE: np.exp(z_N)}, own_N) for z_N in z_NP.T]
        return np.asarray(np.logaddexp(0, np.stack(odds)).sum(0))

    return of


def main() -> None:
    """Print a row for each number of parts and each AUROC of the part that is struck."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=400_000)
    images = parser.parse_args().images
    rng = np.random.default_rng(0)
    one, two = even_nats(1), even_nats(2)
    print(f"| parts | one sees | at best | {one:g} nats | {two:g} nats | largest | sum |")
    print("|---|---|---|---|---|---|---|")
    for parts in PARTS:
        for seen in SEEN:
            shift = float(norm.ppf(seen)) * np.sqrt(2)
            genuine_NP, faulty_NP = rng.normal(size=(2, images, parts))
            faulty_NP[:, 0] += shift
            found = [
                auroc(of(genuine_NP), of(faulty_NP))
                for of in (
                    likelihood_ratio(shift),
                    evidences(one),
                    evidences(two),
                    lambda z_NP: z_NP.max(1),
                    lambda z_NP: z_NP.sum(1),
                )
            ]
            print(
                f"| {parts} | {seen:.2f} | " + " | ".join(f"{value:.3f}" for value in found) + " |"
            )


if __name__ == "__main__":
    main()
