"""A random draw of a class's images, kept while shards are read: memory is bounded by the draw.

It holds the images whose ids have the lowest chance (`seeds.chance_of`), so that neither the order
of shards nor their number changes it.

Shape suffixes: N images, D directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rayqc.seeds import order_by_chance

SHORTENED_AT = 1.25
"""How many times the draw is held before it is sorted and cut."""


@dataclass(frozen=True, kw_only=True)
class Images:
    """Images by id, with their vectors."""

    id_N: np.ndarray
    """(N,) str."""
    chance_N: np.ndarray
    """(N,) uint64, of the ids."""
    vector_ND: np.ndarray
    """float32; of no columns where there are no latents."""

    def __len__(self) -> int:
        return len(self.id_N)

    def __getitem__(self, rows: np.ndarray) -> Images:
        return Images(
            id_N=self.id_N[rows], chance_N=self.chance_N[rows], vector_ND=self.vector_ND[rows]
        )

    @staticmethod
    def concatenated(parts: list[Images]) -> Images:
        """The images of all `parts`, of which there is one or more."""
        return Images(
            id_N=np.concatenate([part.id_N for part in parts]),
            chance_N=np.concatenate([part.chance_N for part in parts]),
            vector_ND=np.concatenate([part.vector_ND for part in parts]),
        )


class Draw:
    """At most so many images, those of the lowest chance of all that were offered."""

    def __init__(self, most: int, directions: int) -> None:
        self.most = most
        self.offered = 0
        """How many images were offered."""
        self._parts = [
            Images(
                id_N=np.zeros(0, object),
                chance_N=np.zeros(0, np.uint64),
                vector_ND=np.zeros((0, directions), np.float32),
            )
        ]
        self.held = 0
        """Images in memory, at most `SHORTENED_AT` draws."""
        self._highest: np.uint64 | None = None

    def offer(self, images: Images) -> None:
        """Take those that belong to the draw so far."""
        self.offered += len(images)
        if self._highest is not None:
            images = images[images.chance_N <= self._highest]
        self._parts.append(images)
        self.held += len(images)
        if self.held > SHORTENED_AT * self.most:
            self._shorten()

    def images(self) -> Images:
        """The draw, by chance; every first part of it is a smaller draw."""
        self._shorten()
        return self._parts[0]

    def _shorten(self) -> None:
        held = Images.concatenated(self._parts)
        held = held[order_by_chance(held.id_N, held.chance_N)[: self.most]]
        self._parts, self.held = [held], len(held)
        if len(held) == self.most:
            self._highest = held.chance_N[-1]
