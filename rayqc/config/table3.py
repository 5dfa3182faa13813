"""Settings of Table 3: the paper's table of accuracies, with the columns that it left out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rayqc.config.base import Policy, PositiveInt, Settings

Table3Pool = Literal["augment", "faults", "gan"]


class SmallNetwork(Settings):
    """A network that is trained from its first layer."""

    width: PositiveInt = 16
    """Channels of the first stage."""
    steps: PositiveInt = 200
    """Optimiser steps."""


class Cell(Settings):
    """One cell: so many references a class of a data set, and a pool of so many images."""

    data: str
    """Name of a data set of the evaluation."""
    per_class: PositiveInt
    """References a class."""
    pool: PositiveInt
    """Candidates, over all classes together."""
    draws: PositiveInt = 5
    """Draws of references."""
    encoder_width: Annotated[float, Field(gt=0)] = 0.0625
    """Of the VAE; 1.0 is the paper's."""
    encoder_steps: PositiveInt = 400
    """Its training."""
    paper_steps: PositiveInt | None = None
    """Of classifiers by the paper's protocol; null takes `table3.paper.steps`."""
    candidates: list[SmallNetwork] | None = None
    """Small networks that today's protocol chooses from; null takes `table3.candidates`."""
    compared: Annotated[int, Field(ge=0)] | None = None
    """Draws, the first so many, in which today's protocol asks small networks beside the probe;
    further ones take the probe. Null asks in all."""


class PaperNetwork(SmallNetwork):
    """The classifier of the paper's protocol: no augmentation, no balance between classes."""

    steps: PositiveInt = 300
    """Optimiser steps; the paper names none."""


class NetworkProbe(Settings):
    """A linear probe on the latents of the pretrained network that comes from pip."""

    size: PositiveInt = 128
    """Pixels of a side that images are brought to for the network."""
    copies: Annotated[int, Field(ge=0)] = 4
    """Augmented copies of each reference that every arm trains on."""
    most: PositiveInt = 4000
    """References and copies together; fewer copies are made where there would be more."""


class Table3(Settings):
    """Accuracies before and after, by the paper's protocol and by today's."""

    cells: list[Cell]
    """Rows of the table."""
    policy: Policy = "moderate"
    """Augmentation that pools are made by; the paper names none."""
    pools: list[Table3Pool] = ["augment", "faults", "gan"]
    """`augment` transformed copies of the references, `faults` the same with a share made faulty,
    `gan` samples of a GAN that is trained on the references. The paper's protocol is measured on
    the first alone."""
    share: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Of the pool `faults` that is faulty."""
    gan_from: PositiveInt = 100
    """References a class from which on a GAN is trained."""
    gan_steps: PositiveInt = 2000
    """Its training."""
    paper: PaperNetwork = PaperNetwork()
    """The classifier of the paper's protocol."""
    candidates: list[SmallNetwork] = [SmallNetwork(steps=200), SmallNetwork(steps=600)]
    """Small networks that today's protocol chooses from, augmented while training; of equals the
    first."""
    probe: NetworkProbe | None = NetworkProbe()
    """A further candidate; null leaves it out. Where it is chosen the network's latents judge and
    choose candidates too, as they do in a run with `encoder.kind: pretrained`."""
    folds: Annotated[int, Field(ge=2)] = 3
    """Of the cross-validation on references that chooses."""
    seeds: PositiveInt = 2
    """Trainings of each arm. One says nothing of how far arms can be told apart."""
    test_images: PositiveInt = 10_000
    """Of the test set, the first so many."""
