"""Settings of a run: frozen, checked when made, every one with a default but `references`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from rayqc.config.base import (
    FILES,
    Arm,
    Data,
    Enters,
    PositiveInt,
    Seed,
    Settings,
    Share,
    Tracker,
    WorkOnly,
    one_of,
)
from rayqc.config.encoder import COLUMN, Encoder
from rayqc.config.pool import Augment, Files, Gan, Latent, PoolEntry, kind_of
from rayqc.config.regions import Regions
from rayqc.kinds import CLASSIFIERS, ENCODERS, REGIONS, SOURCES

FROM_FILES = {FILES, *SOURCES.names} - {"bundled"}
"""Kinds of sections whose images may come with latents."""
POOL_IMAGES = 1_000
"""What `regions.pool_images: null` takes where the encoder was trained elsewhere."""


class References(Data):
    """The real, labelled images that say what each class looks like."""

    per_class: PositiveInt | None = None
    """How many to draw of each class; null takes all. Classes with fewer give what they have."""
    seed: Seed = 0
    """Which ones are drawn."""
    in_test: Literal["refuse", "drop"] = "refuse"
    """What is done where references have the bytes of test images: `refuse` stops before training,
    `drop` measures on the other test images."""


Format = Literal["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"]
Formats = Annotated[tuple[Format, ...], Field(min_length=1)]


class Image(Settings):
    """What the encoder sees."""

    size: Annotated[int, Field(ge=8, le=4096)] | None = None
    """Height and width in pixels, a multiple of 4. Null takes the references' most common larger
    side, rounded up to a multiple of 4, at most 64. Other images are resized (bilinear with
    antialiasing, sides scaled independently)."""
    channels: Literal[1, 3] | None = None
    """1 gray, 3 RGB; null takes 3 when any reference has colour."""
    max_pixels: PositiveInt = 50_000_000
    """An image of more pixels is an error row (`too_large`), found before it is decoded."""
    max_bytes: PositiveInt = 64_000_000
    """The same for encoded bytes."""
    formats: Formats = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
    """What is decoded, told by an image's bytes, never by its name; others are error rows
    (`unsupported_format`)."""

    range: Literal["auto", "full"] | tuple[float, float] = "auto"
    """The values of pixels of more than 8 bits that become black and white. `auto` chooses them
    from the references, once for all images of the run: of whole numbers 0 to 255, 1023, 4095,
    16383 or 65535, of floats also 0 to 1 and -1 to 1, else their least and largest value. `full`:
    0 to 65535, and floats 0 to 1. Or a pair, such as [0, 4095]. 8-bit images are taken as they
    are."""

    @model_validator(mode="after")
    def _rises(self) -> Image:
        if isinstance(self.range, tuple) and not self.range[0] < self.range[1]:
            raise ValueError(
                f"range must be two numbers, the smaller first, found {list(self.range)}"
            )
        return self

    @model_validator(mode="after")
    def _fits_the_strides(self) -> Image:
        if self.size is not None and self.size % 4:
            raise ValueError(
                f"size must be a multiple of 4 (two stride-2 layers), found {self.size}"
            )
        return self


class Filter(Settings):
    """The pass over the pool."""

    actors: Annotated[PositiveInt | Literal["auto"], WorkOnly] = "auto"
    """Encoding actors; auto is one a CPU or, beside GPUs, one for every four CPUs, at most four a
    GPU, which share it. One where a generator makes the pool on that GPU."""
    unit_rows: Annotated[PositiveInt | None, WorkOnly] = None
    """Images a unit of work at most; a unit is what is redone after a crash. Null makes 64 units or
    more where the pool is large enough for that: each has 256 to 2,048 images where the encoder
    sees at most 32 pixels, 64 to 512 where it sees more."""
    unit_minutes: Annotated[Annotated[float, Field(gt=0)] | None, WorkOnly] = 30.0
    """A unit that takes longer hangs: its worker is ended, the unit is done again, and the image
    that did it is found. null waits for ever."""
    micro_batch: Annotated[PositiveInt, WorkOnly] = 128
    """Images encoded at once; the last batch of a unit is padded to it."""
    shard_mb: Annotated[float, Field(gt=0)] = 128.0
    """Size of the final shards in 10^6 bytes."""
    keep_rejected: Literal["all", "none"] = "all"
    """`none` drops the rejected images (their scores stay)."""
    keep_pool: Annotated[Literal["all", "accepted", "none"], Enters("generate", "filter")] = "all"
    """`all`: generators write their candidates to `pool/` first. `accepted`: the filter's actors
    make them, and only accepted images are written. `none`: scores only, no image; the same seeds
    make each again."""
    keep_latents: bool | Literal["auto"] = "auto"
    """Latents of the pool's images, as float16, in `scores/`: probes and selection need no second
    encoding. `auto` keeps those of up to a million images."""
    max_error_share: Annotated[Share, WorkOnly] = 0.01
    """A larger share of unreadable images ends the run with exit code 3, all written."""
    max_accepted_per_class: PositiveInt | None = None
    """Cap per class: so many at random; the others are rejected as `over_cap`. `rayqc select` has
    other ways."""
    limit: Annotated[PositiveInt | None, Enters("generate", "filter")] = None
    """Take only this many of the pool's images, evenly spaced over all of it."""


class Classify(Settings):
    """The classifier stage: does the filter help?"""

    kind: Annotated[str, one_of("auto", *CLASSIFIERS.names)] = "auto"
    """`cnn`: a small convolutional network is trained for each arm and seed. `probe`: a linear
    classifier, in seconds for a hundred seeds, on latents of an encoder that was trained elsewhere,
    or on edge histograms; each seed draws its training images anew with replacement. `finetune`:
    such an encoder's own network, whose later half is trained on; for a GPU, or patience. `auto`:
    `cnn` up to 32 pixels, where it takes minutes, and `probe` above, where it would take an
    hour."""
    arms: list[Arm] = ["real", "all", "random", "accepted", "rejected"]
    """Training sets to compare. `real` the references alone; the others add to them: `all` the
    pool, `accepted` what was kept, `random` as many per class drawn at random, `rejected` the
    rest, `each` what was kept of each pool entry by itself. An empty list skips the stage."""
    seeds: Annotated[int, Field(ge=1)] | None = None
    """Trainings an arm, each with its own initial weights, batches and random subset, or its own
    draw of training images. Null takes 5, 20 of probes, and 3 of `finetune`."""
    steps: Annotated[int, Field(ge=10)] = 600
    """Optimiser steps, the same in each arm; `finetune` takes a tenth of them."""
    batch_size: PositiveInt = 64
    """Images a step, at most 32 of `finetune`."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    """AdamW's peak, reached after a fifth of the steps and annealed to zero (one cycle); `finetune`
    takes a tenth of it."""
    width: PositiveInt = 32
    """Channels of the first stage; the second and third have twice and four times as many."""
    augment: Literal["none", "affine"] = "affine"
    """The same for every arm: small random rotations, shifts, scalings and shears."""
    flip: bool | None = None
    """Random left-right flips, too; null flips colour images only."""
    balanced: bool = True
    """Each batch holds the classes in equal shares, whatever the arm's own shares are."""
    max_images: PositiveInt = 200_000
    """At most so many images of the pool are held in memory, drawn at random."""

    @model_validator(mode="after")
    def _no_arm_twice(self) -> Classify:
        if len(set(self.arms)) != len(self.arms):
            raise ValueError(f"each arm may stand once, found {list(self.arms)}")
        return self


class Resources(Settings):
    """What the work may use; changes nothing that comes out, but for `train_workers` a GAN."""

    train_workers: PositiveInt | tuple[PositiveInt, PositiveInt] = 1
    """Data-parallel training workers of VAE and GANs. `[1, 4]` is elastic: when nodes leave or join
    the VAE goes on, from its last checkpoint, with as many as find room. GANs then take the first
    number: their batch statistics are each worker's own, so that another number makes another."""
    use_gpu: bool | Literal["auto"] = "auto"
    """auto uses GPUs when Ray sees any."""
    cpus_per_worker: PositiveInt | None = None
    """CPU threads a training worker; null shares the node's CPUs among the workers."""
    stuck_minutes: Annotated[float, Field(gt=0)] | None = 30.0
    """A stage in which nothing moves for so long is stopped (exit 4: run again to resume), except
    while units or jobs are in progress. null never stops one."""
    trackers: list[Tracker] = []
    """What else records the run while it goes (docs/trackers.md): `tensorboard`, `mlflow`. One that
    fails is warned of and left out; it never stops a run."""

    @model_validator(mode="after")
    def _fewest_comes_first(self) -> Resources:
        if self.fewest_workers > self.most_workers:
            raise ValueError(
                f"train_workers is {list(self.workers_range)}; expected the fewest first, then the "
                "most"
            )
        return self

    @property
    def fewest_workers(self) -> int:
        """Training workers at least."""
        return self.workers_range[0]

    @property
    def most_workers(self) -> int:
        """Training workers at most."""
        return self.workers_range[1]

    @property
    def workers_range(self) -> tuple[int, int]:
        """The fewest training workers and the most."""
        asked = self.train_workers
        return (asked, asked) if isinstance(asked, int) else asked


class Config(Settings):
    """All settings of a run."""

    seed: Annotated[Seed, Enters("train", "generate", "classify")] = 0
    """Seeds everything that has no seed of its own."""
    image: Annotated[Image, Enters("train", "fit", "filter", "classify")] = Image()
    references: Annotated[References, Enters("train", "fit", "generate", "filter", "classify")]
    test: Annotated[Data | None, Enters("fit", "classify")] = None
    """Real images held back, for `classify` and for measured coverage. `references: bundled`
    brings its own."""
    pool: Annotated[list[PoolEntry], Enters("generate", "filter")] = [Augment(kind="augment")]
    encoder: Annotated[Encoder, Enters("train", "fit", "filter")] = Encoder()
    regions: Annotated[Regions, Enters("fit", "filter")] = Regions()
    filter: Annotated[Filter, Enters("filter")] = Filter()
    classify: Annotated[Classify, Enters("classify")] = Classify()
    resources: Annotated[Resources, WorkOnly] = Resources()

    @model_validator(mode="before")
    @classmethod
    def _tells_where_latents_are(cls, tree: Any) -> Any:
        """The settings with `encoder.column` as `latent_column` of all files that name none."""
        encoder = tree.get("encoder") if isinstance(tree, dict) else None
        column = encoder.get("column") if isinstance(encoder, dict) else None
        if column is None:
            return tree

        def told(data: Any) -> Any:
            from_files = isinstance(data, dict) and data.get("kind", FILES) in FROM_FILES
            return {"latent_column": column, **data} if from_files else data

        sections = {name: told(tree[name]) for name in ("references", "test") if name in tree}
        if isinstance(tree.get("pool"), list):
            sections["pool"] = [told(entry) for entry in tree["pool"]]
        return {**tree, **sections}

    @model_validator(mode="after")
    def _has_latents_where_they_are_needed(self) -> Config:
        files = [entry for entry in self.pool if isinstance(entry, Files)]
        given = [data for data in (self.references, self.test, *files) if data is not None]
        if self.encoder.kind != COLUMN:
            if any(data.latent_column for data in given):
                raise ValueError(
                    f"latent_column and encoder.column are for encoder.kind: {COLUMN}, found "
                    f"{self.encoder.kind}"
                )
            return self
        made = [kind_of(entry) for entry in self.pool if not isinstance(entry, Files)]
        if made:
            raise ValueError(
                f"a pool entry of kind {made[0]} is made here and has no column of latents, which "
                f"encoder.kind: {COLUMN} needs; take an encoder that encodes for it"
            )
        if any(data.latent_column is None for data in given):
            raise ValueError(f"encoder.kind: {COLUMN} needs files with latents, not kind: bundled")
        return self

    @model_validator(mode="after")
    def _can_be_done(self) -> Config:
        if not self.pool:
            raise ValueError("pool is empty; give at least one entry such as {kind: augment}")
        names = self.pool_names()
        if len(set(names)) != len(names):
            raise ValueError(f"pool entries need different names, found {names}")
        arms_with_rejected = {"all", "random", "rejected"} & set(self.classify.arms)
        if self.filter.keep_rejected == "none" and arms_with_rejected:
            raise ValueError(
                f"classify.arms {sorted(arms_with_rejected)} need the rejected images, "
                "but filter.keep_rejected is none; keep them, or leave those arms out"
            )
        possible_arms = {
            "all": set(get_args(Arm)),
            "accepted": {"real", "accepted", "each"},
            "none": {"real"},
        }
        impossible_arms = set(self.classify.arms) - possible_arms[self.filter.keep_pool]
        if impossible_arms:
            raise ValueError(
                f"classify.arms {sorted(impossible_arms)} need images that filter.keep_pool: "
                f"{self.filter.keep_pool} does not keep; keep them, or leave those arms out"
            )
        if self.encoder.kind != "vae" and any(isinstance(entry, Latent) for entry in self.pool):
            raise ValueError(
                f"a pool entry of kind vae needs encoder.kind: vae, found {self.encoder.kind}"
            )
        learns = self.regions.pool_images or "pool" in (self.regions.views or ())
        if learns and not self._has_files():
            raise ValueError(
                "regions.pool_images and the view pool learn from files, and no entry of the pool "
                "is of images that are there already; leave them out, or name files in pool"
            )
        gan_batch_sizes = [entry.batch_size for entry in self.pool if isinstance(entry, Gan)]
        if gan_batch_sizes and self.resources.fewest_workers > min(gan_batch_sizes):
            raise ValueError(
                f"resources.train_workers ({self.resources.fewest_workers}) may be at most a GAN's "
                f"batch_size ({min(gan_batch_sizes)}): each takes a share of a batch"
            )
        if self.resources.most_workers > self.encoder.batch_size:
            raise ValueError(
                f"resources.train_workers ({self.resources.most_workers}) may be at most "
                f"encoder.batch_size ({self.encoder.batch_size}): each takes a share of a batch"
            )
        return self

    def pool_names(self) -> list[str]:
        """A name for each pool entry: its own, or its kind, with a number from the second on."""
        count_by_kind: dict[str, int] = {}
        names = []
        for entry in self.pool:
            kind = kind_of(entry)
            count_by_kind[kind] = count_by_kind.get(kind, 0) + 1
            default = kind if count_by_kind[kind] == 1 else f"{kind}-{count_by_kind[kind]}"
            names.append(entry.name or default)
        return names

    def pool_images(self) -> int:
        """Images of the pool that the label learns from, at most."""
        regions = self.regions
        if not REGIONS[regions.kind].calibrated or not self._has_files():
            return 0
        if regions.views is None:
            learns = not ENCODERS[self.encoder.kind].saw_references
        else:
            learns = "pool" in regions.views
        usual = POOL_IMAGES if learns else 0
        most = usual if regions.pool_images is None else regions.pool_images
        return min(most, self.filter.limit or most)

    def _has_files(self) -> bool:
        """Is an entry of the pool of images that are there already?"""
        return any(isinstance(entry, Files) for entry in self.pool)

    def encoder_seed(self) -> int:
        """The encoder's own seed, or the run's where it has none."""
        return self.seed if self.encoder.seed is None else self.encoder.seed

    def test_data(self) -> Data | None:
        """Where the test images are, or None; the bundled references bring their own."""
        if self.test is None and self.references.kind == "bundled":
            return Data(kind="bundled", split="test")
        return self.test
