"""How long this machine takes for the pieces of a run's work, measured on a few of its own images.

Everything is measured when it is first asked for, in this process: a step of a network, an image
decoded and encoded, a candidate made. That takes a second or two, and no Ray.
"""

from __future__ import annotations

import copy
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import torch

from rayqc.config import Config, Gan, Latent, MadeHere
from rayqc.config.encoder import Encoder
from rayqc.distributed.classifiers.cnn import training_of
from rayqc.distributed.classifiers.finetune import finetuning_of
from rayqc.distributed.machine import cpus_allowed
from rayqc.distributed.train_vae import fresh_state, training_settings
from rayqc.encoders.base import EncoderKind, EncoderTask, MadeEncoder
from rayqc.encoders.batches import LatentEncoder
from rayqc.errors import ConfigError
from rayqc.generators.base import EntryContext, GeneratedSource, generator_kind
from rayqc.generators.sampled import Sampler, sampled_source
from rayqc.images.decode import decode_batch, decode_batch_looks, limits_of
from rayqc.images.detail import Detail
from rayqc.images.facts import most_pixels
from rayqc.images.look import ImageShape, Look
from rayqc.kinds import ENCODERS
from rayqc.models.features import edge_histograms
from rayqc.models.latent import LatentNetwork
from rayqc.models.vae import pixels_to_input
from rayqc.pipeline.run import REFERENCES
from rayqc.regions.fitting import settings_of as settings_of_scores
from rayqc.regions.views.network import BATCH_SIZE, STEPS, network_training
from rayqc.schema import image_bytes
from rayqc.storage import Folder, write_table
from rayqc.training.classifier import ClassifierSettings, fit_network, train_classifier
from rayqc.training.finetune import Finetuned
from rayqc.training.gan import fresh_gan, settings_of, shape_of, train_gan
from rayqc.training.softmax import SoftmaxHead, train_softmax
from rayqc.training.vae import bare_model, train_vae
from rayqc.work.latent_columns import given_latents
from rayqc.work.real_candidates import detail_of

LONG_ENOUGH = 0.2
"""Seconds after which a measurement is not repeated."""
REPEATS = 3
MADE = 8
"""Candidates that are made to time a generator, or as many as it makes at once."""
OTHER_STEPS, STEPS_A_REFERENCE = 180, 0.5
"""What else a scorer's fit takes (edges, patches, quality), in steps of its network: so many, and
so many more for each reference. Measured on 28 x 28 x 1 and 64 x 64 x 3, 30 to 180 references."""
MOST_PROBED = 500
"""Images that the training of a probe is timed on, at most."""
SCORING_STEPS = 2
"""What scores take for an image, in steps of that network, each an image's share of one."""


class _Untrained:
    """A generator that only the run will train."""

    identity = ""

    def open(self, device: str) -> Sampler:
        raise ConfigError("this generator is not trained yet")


class Pace:
    """Times of pieces of a run's work on one thread, in seconds."""

    def __init__(
        self, config: Config, image: ImageShape, references: pa.Table, classes: tuple[str, ...]
    ) -> None:
        """Keep what is measured with.

        Args:
            image: the run's size and channels.
            references: some of them, one of each class at least: columns as of candidates.
            classes: that their labels index.
        """
        self._config, self._image, self._references = config, image, references
        self._limits = limits_of(config.image)
        self._classes = classes
        kind: EncoderKind = ENCODERS[config.encoder.kind]
        self._seen, self._inner = kind.saw_references, kind.inner

    @cached_property
    def _images_NHWC(self) -> np.ndarray:
        return decode_batch(image_bytes(self._references), self._image, self._limits)[0]

    @cached_property
    def _label_N(self) -> np.ndarray:
        return np.asarray(self._references["label"])

    @cached_property
    def _detail(self) -> Detail | None:
        side = self._config.regions.detail_side
        return detail_of(self._references, self._image, self._limits, side)

    def vae_step(self, threads: int) -> float:
        """A step of the VAE, on so many threads, or as many as this machine has CPUs."""
        settings = training_settings(self._config, self._image.size)
        state = fresh_state(self._image, self._config, torch.device("cpu"))

        def step() -> None:
            train_vae(state, self._images_NHWC, replace(settings, steps=state.step + 1))

        return seconds_of(step, min(threads, cpus_allowed()))

    @cached_property
    def encoder_step(self) -> float:
        """A step of an encoder that one process trains."""
        steps = 2
        encoder = self._config.encoder.model_copy(update={"steps": steps})
        kind: EncoderKind = ENCODERS[encoder.kind]
        return seconds_of(lambda: self._made(kind, encoder)) / steps

    def gan_step(self, entry: Gan) -> float:
        """A step of a pool entry's GAN."""
        shape = shape_of(entry, self._image.size, self._image.channels, len(self._classes))
        state = fresh_gan(shape, entry.learning_rate, 0, "cpu")
        settings = settings_of(entry, 0)

        def step() -> None:
            steps = replace(settings, steps=state.step + 1)
            train_gan(state, self._images_NHWC, self._label_N, steps)

        return seconds_of(step)

    @cached_property
    def classifier_step(self) -> float:
        """A step of the classifier stage's network."""
        return self._step(training_of(self._config.classify, self._image.channels))

    @cached_property
    def finetuning(self) -> float:
        """The steps in which the encoder's network is trained on, by the classifier `finetune`."""
        network, looked_at = self._encoder
        settings = finetuning_of(self._config.classify, looked_at.channels)
        images_NHWC = np.zeros((settings.batch_size, *looked_at.pixels), np.uint8)
        label_N = np.arange(settings.batch_size) % len(self._classes)
        head = SoftmaxHead(
            weight_FK=torch.zeros(network.latent_dim, len(self._classes)),
            bias_K=torch.zeros(len(self._classes)),
        )
        model, steps = Finetuned(copy.deepcopy(network), head), 2
        short = replace(settings, steps=steps)

        def train() -> None:
            fit_network(model, images_NHWC, label_N, short, 0, "cpu")

        return settings.steps * seconds_of(train) / steps

    @cached_property
    def encoded(self) -> float:
        """An image encoded, which is decoded already."""
        return self._encoding(*self._encoder)

    @cached_property
    def _network_step(self) -> float:
        """A step of the network that is a view of the label's score."""
        regions, channels = self._config.regions, self._image.channels
        settings = settings_of_scores(regions, channels, self._seen, self._inner).scorer
        return self._step(network_training(self._image.size, settings))

    @property
    def latent_dim(self) -> int:
        """Of the encoder's latents."""
        return self._encoder[0].latent_dim

    @property
    def weights_mb(self) -> float:
        """Of the encoder's weights."""
        return sum(each.numel() * 4 for each in self._encoder[0].parameters()) / 1e6

    def probe(self, images: int) -> float:
        """The training of a linear probe on so many images."""
        width = self.latent_dim
        if self._seen:
            x_NCHW = pixels_to_input(torch.from_numpy(self._images_NHWC[:1]))
            width = edge_histograms(x_NCHW).shape[1]
        rows = min(images, MOST_PROBED)
        features_NF, label_N = torch.randn(rows, width), torch.arange(rows) % len(self._classes)
        seconds = seconds_of(lambda: train_softmax(features_NF, label_N, len(self._classes)))
        return seconds * images / rows

    def scorer(self, references: int) -> float:
        """The fit of one scorer to so many references."""
        return (STEPS + OTHER_STEPS + STEPS_A_REFERENCE * references) * self._network_step

    def image(self, some: pa.Table, *, scored: bool) -> float:
        """An image decoded, encoded and, if asked for, scored, of which these are some."""
        on_cpus, on_either = self.image_in_parts(some, scored=scored)
        return on_cpus + on_either

    def image_in_parts(self, some: pa.Table, *, scored: bool) -> tuple[float, float]:
        """What CPUs do of an image even beside a GPU, and what a GPU does where there is one.

        CPUs decode and score; encoding, and the statistics of tiles, are for a GPU.
        """
        looks: list[Look] = [self._image, self.looked_at]
        scored = scored and self._config.regions.kind == "calibrated"
        detail = self._detail if scored else None
        if detail is not None:
            looks += detail.looks
        data = image_bytes(some)
        on_cpus, on_either = 0.0, self.encoded
        if data:
            decoding = seconds_of(lambda: decode_batch_looks(data, looks, self._limits))
            on_cpus += decoding / len(data)
            if detail is not None:
                found, _ = decode_batch_looks(data, looks, self._limits)
                taken = found[len(looks) - len(detail.looks) :]
                on_either += seconds_of(lambda: detail.measured(taken)) / len(data)
        if scored:
            on_cpus += SCORING_STEPS * self._network_step / BATCH_SIZE
        return on_cpus, on_either

    def candidate(self, entry: MadeHere, name: str) -> tuple[float, pa.Table]:
        """A candidate made by a pool entry, and some such; an encoding's time where it is trained.

        Raises:
            UserError: the entry cannot make any.
        """
        kind = generator_kind(entry)
        if not kind.tried_first:
            return self.encoded, self._references
        with tempfile.TemporaryDirectory() as place:
            folder = Folder(place)
            write_table(folder, REFERENCES, self._references)
            source = kind.source(entry, self._context(name, folder, self._references.num_rows))
            unit = source.units(MADE)[0]
            made = source.read(unit)  # loads what there is to load
            seconds = seconds_of(lambda: source.read(unit))
        return seconds / made.num_rows, made.slice(0, MADE)

    def planned(self, entry: MadeHere, name: str, references: int) -> GeneratedSource:
        """The source of what a pool entry would make, of so many references; for its units."""
        kind, context = generator_kind(entry), self._context(name, Folder("."), references)
        if isinstance(entry, Gan | Latent):
            return sampled_source(_Untrained(), entry, context)
        return kind.source(entry, context)

    @property
    def looked_at(self) -> ImageShape:
        """What the encoder sees of an image."""
        return self._encoder[1]

    def _context(self, name: str, folder: Folder, references: int) -> EntryContext:
        return EntryContext(
            name=name,
            folder=folder,
            model=folder,
            table=REFERENCES,
            references=references,
            most_pixels=most_pixels(image_bytes(self._references)),
            references_digest="",
            classes=self._classes,
            seed=self._config.seed,
            limits=self._limits,
        )

    @cached_property
    def _encoder(self) -> tuple[LatentNetwork, ImageShape]:
        """A network as the run's encoder will be, and what it looks at."""
        kind: EncoderKind = ENCODERS[self._config.encoder.kind]
        if kind.where == "workers":
            state = fresh_state(self._image, self._config, torch.device("cpu"))
            return bare_model(state.model), self._image
        steps = {"steps": 1} if kind.where == "task" else {}
        made = self._made(kind, self._config.encoder.model_copy(update=steps))
        return made.network, kind.input(made.shape) or self._image

    def _made(self, kind: EncoderKind, settings: Encoder) -> MadeEncoder:
        if kind.make is None:
            raise ConfigError(f"an encoder of kind {settings.kind} is made by workers only")
        task = EncoderTask(
            settings=settings,
            image=self._image,
            images_NHWC=self._images_NHWC,
            label_N=self._label_N,
            latent_ND=given_latents(self._references),
            classes=self._classes,
            seed=0,
            device="cpu",
        )
        return kind.make(task)

    def _encoding(self, network: LatentNetwork, looked_at: ImageShape) -> float:
        """An image's share of a batch that is encoded; nothing where latents are given."""
        if not network.computes:
            return 0.0
        settings = self._config.filter
        encoder = LatentEncoder(
            network, settings.micro_batch, precision=self._config.encoder.precision
        )
        batch = encoder.batch(looked_at.size**2)
        images_NHWC = np.zeros((batch, *looked_at.pixels), np.uint8)
        return seconds_of(lambda: encoder.encode_all(images_NHWC)) / batch

    def _step(self, settings: ClassifierSettings) -> float:
        steps = 2
        short = replace(settings, steps=steps)

        def train() -> None:
            train_classifier(self._images_NHWC, self._label_N, len(self._classes), short, 0)

        return seconds_of(train) / steps

    @property
    def memory_mb(self) -> float:
        """The most memory that this process had so far, which has loaded what a worker loads."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def seconds_of(work: Callable[[], object], threads: int = 1) -> float:
    """Seconds that work takes, the least of a few times unless one takes long."""
    with _threads(threads):
        found = [_once(work)]
        while sum(found) < LONG_ENOUGH and len(found) < REPEATS:
            found.append(_once(work))
    return min(found)


def _once(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many threads of torch within."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
