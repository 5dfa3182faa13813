"""Which images a training step sees: drawn with replacement, of all classes alike if wanted.

Shape suffixes: N images, B images of a batch, K classes that have images.
"""

from __future__ import annotations

import numpy as np


class BatchDraw:
    """Draws batches from the same images; they are sorted by class once, not at every step."""

    def __init__(self, label_N: np.ndarray, size: int, balanced: bool) -> None:
        """Prepare for batches of one size.

        Args:
            label_N: (N,) int64.
            size: B, images in a batch.
            balanced: each class that has images fills an equal number of rows, to within one;
                otherwise every image is equally likely.
        """
        self.size, self.balanced, self.images = size, balanced, label_N.size
        self.order_N = np.argsort(label_N, kind="stable")
        _, self.first_K, self.count_K = np.unique(
            label_N[self.order_N], return_index=True, return_counts=True
        )

    def rows(self, rng: np.random.Generator) -> np.ndarray:
        """Row numbers of a batch, (B,) int64 in [0, N)."""
        if not self.balanced:
            return rng.integers(self.images, size=self.size)
        rounds = -(-self.size // self.first_K.size)
        shuffled = [rng.permutation(self.first_K.size) for _ in range(rounds)]
        class_B = np.concatenate(shuffled)[: self.size]
        within_B = (rng.random(self.size) * self.count_K[class_B]).astype(np.int64)
        return np.asarray(self.order_N[self.first_K[class_B] + within_B])
