"""How many images go through a network at once."""

MOST_PIXELS = 1 << 20
"""Pixels of a batch on a CPU, over all its images: a network's layers keep some hundred numbers a
pixel, and a core gains nothing from more."""


def batch_on(device: str, most: int, pixels: int) -> int:
    """Images of so many pixels each that a Torch device takes at once: a GPU takes them all."""
    return batch_on_cpu(most, pixels) if device == "cpu" else most


def batch_on_cpu(most: int, pixels: int) -> int:
    """Images of so many pixels each that a core takes at once: a power of two below `most`."""
    if most * pixels <= MOST_PIXELS:
        return most
    return 1 << max(0, (MOST_PIXELS // pixels).bit_length() - 1)
