"""The figures of the paper's Table 3 (Halmuratov & Vesely), in per cent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A row of the paper's table."""

    pool: int
    accepted: int
    before: float
    after: float


PUBLISHED: dict[tuple[str, int], Published] = {
    ("mnist", 5): Published(500, 425, 20.6, 25.8),
    ("mnist", 10): Published(1000, 895, 25.8, 30.2),
    ("mnist", 20): Published(2000, 1578, 27.1, 30.9),
    ("mnist", 100): Published(5000, 3685, 25.4, 24.8),
    ("cifar10", 5): Published(500, 458, 18.9, 21.6),
    ("cifar10", 10): Published(1000, 901, 23.4, 24.2),
    ("cifar10", 20): Published(2000, 1570, 28.2, 31.2),
    ("cifar10", 100): Published(5000, 4001, 34.3, 40.9),
    ("cifar100", 5): Published(2500, 1978, 14.6, 18.2),
    ("cifar100", 10): Published(5000, 3951, 16.4, 29.5),
    ("cifar100", 20): Published(10000, 8012, 18.2, 21.8),
    ("cifar100", 100): Published(50000, 38417, 24.5, 27.6),
}
"""By name of the data set and references a class."""
