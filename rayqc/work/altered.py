"""Altered copies of references (`images.alterations`): how many, of which, what an encoder says.

Shape suffixes: N images, H W C pixels, C copies, F features.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rayqc.encoders.batches import LatentEncoder
from rayqc.images.alterations import MIXING, alterations, altered
from rayqc.images.decode import as_image
from rayqc.images.look import ImageShape
from rayqc.regions.base import Altered
from rayqc.schema import LATENT
from rayqc.seeds import ALTERATIONS
from rayqc.units import evenly
from rayqc.work.latent_columns import all_finite

MOST_ALTERED = 500
"""Altered copies in all at most; more tell no more (docs/tried.md)."""
MOST_COPIES = 10
"""Altered copies of a reference at most, each by another alteration."""


def copies_of_each(references: int) -> int:
    """How many altered copies are made of each of so many references, or of those that have any."""
    return min(MOST_COPIES, max(1, MOST_ALTERED // references))


def altered_copies(references: int) -> int:
    """How many altered copies are made of so many references, 1 and more, in all."""
    return min(references, MOST_ALTERED) * copies_of_each(references)


def altered_order(references: int, seed: int) -> np.ndarray:
    """Row numbers of the references that have altered copies, in an order by chance.

    Parts of each are put into copies of its `partner` there.

    Args:
        references: how many there are; of more than `MOST_ALTERED` as many are taken.
        seed: of the order.
    """
    rng = np.random.default_rng([seed, ALTERATIONS])
    return rng.permutation(evenly(references, MOST_ALTERED))


def partner(place_N: np.ndarray, references: int) -> np.ndarray:
    """(N,) places of the references of which parts are put into the copies of others.

    The first and the second are each other's, the third and the fourth, and so on; the first is
    also that of a last one without a second.

    Args:
        place_N: (N,) int64, in an order of so many references.
    """
    other_N = place_N ^ 1
    return np.where(other_N < references, other_N, 0)


@dataclass(frozen=True, kw_only=True)
class AlteredFeatures:
    """What an encoder says of C altered copies of images."""

    features: dict[str, np.ndarray]
    """Latents and features of inner layers: (C, F) float32 by name."""
    place_C: np.ndarray
    """(C,) int64, place of the image that each is a copy of."""
    mixed_C: np.ndarray
    """(C,) bool, are parts of the other image in it?"""


def copies_in_order(encoded: AlteredFeatures, order: np.ndarray) -> Altered | None:
    """Copies of references, without those that made the encoder fail; None where it failed on all.

    Args:
        encoded: of the references in this order, with parts of their partners.
        order: see `altered_order`.
    """
    finite_C = all_finite(encoded.features.values())
    if not finite_C.any():
        return None
    place_C, mixed_C = encoded.place_C[finite_C], encoded.mixed_C[finite_C]
    return Altered(
        features={name: value_CF[finite_C] for name, value_CF in encoded.features.items()},
        of_C=order[place_C],
        other_C=order[np.where(mixed_C, partner(place_C, order.size), place_C)],
    )


def features_of_altered(
    images: Sequence[np.ndarray],
    others: Sequence[np.ndarray],
    number_N: Sequence[int],
    encoder: LatentEncoder,
    shape: ImageShape,
    copies: int,
    seed: int,
) -> AlteredFeatures:
    """What an encoder says of altered copies of images; NaN of those that make it fail.

    Args:
        images: N of (H, W, C) uint8, each of its own size (`images.alterations.Whole`).
        others: N of the same kind, of which parts are put into the images' copies.
        number_N: N numbers, by which alterations take turns.
        shape: what the encoder looks at.
        copies: of each image; fewer of one that has fewer alterations.
        seed: equal ones give equal copies.
    """
    pixels, places, mixed = [], [], []
    for place, (image, other, number) in enumerate(zip(images, others, number_N, strict=True)):
        kinds = alterations(image)
        for copy in range(min(copies, len(kinds))):
            alteration = kinds[(number + copy) % len(kinds)]
            rng = np.random.default_rng([seed, number, copy, ALTERATIONS])
            pixels.append(altered(image, other, alteration, shape, rng))
            places.append(place)
            mixed.append(alteration in MIXING)
    genuine_HWC = shape.cut(as_image(images[0]))
    latent, inner = encoder.split(_features(encoder, np.stack(pixels), genuine_HWC))
    return AlteredFeatures(
        features={LATENT: latent, **inner}, place_C=np.array(places), mixed_C=np.array(mixed)
    )


def _features(
    encoder: LatentEncoder, images_NHWC: np.ndarray, genuine_HWC: np.ndarray
) -> np.ndarray:
    """(N, F) features, NaN of images that make the encoder fail.

    Raises:
        Exception: what the encoder raises for a genuine image, too: no altered one is to blame.
    """
    try:
        return encoder.encode_all(images_NHWC)
    except Exception:
        width = encoder.encode_all(genuine_HWC[None]).shape[1]
    features_NF = np.full((len(images_NHWC), width), np.nan, np.float32)
    for row, image_HWC in enumerate(images_NHWC):
        with contextlib.suppress(Exception):
            features_NF[row] = encoder.encode_all(image_HWC[None])[0]
    return features_NF
