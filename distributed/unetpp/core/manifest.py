"""The dataset manifest: what a packed dataset holds, committed last, read first.

The byte-level format is specified in ``distributed/unetpp/data/README.md``.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

__all__ = [
    "IGNORE",
    "MANIFEST_POINTER",
    "MAX_LABELS",
    "READABLE_SCHEMAS",
    "SCHEMA_VERSION",
    "SPLITS",
    "ChannelStats",
    "ClassInfo",
    "Instances",
    "Manifest",
    "ShardInfo",
    "SplitInfo",
    "Task",
]

SCHEMA_VERSION = 2
"""Of new datasets. Version 2 may code the images in shards; releases that know only version 1 refuse it."""
READABLE_SCHEMAS = (1, SCHEMA_VERSION)
MANIFEST_POINTER = "manifest.json"
SPLITS = ("train", "val", "test")
"""That a dataset may have, in the order in which they are listed."""
MAX_LABELS = 7
"""Of a multilabel task; a mask holds a bit for each, and the top bit of its uint8 marks ignored pixels."""
IGNORE = 255
"""Mask value of a pixel that never counts, in every task, whatever marked it in the source files.

In a multilabel mask, a bit field of at most seven labels, any value with the top bit is ignored.
"""

Task = Literal["binary", "multiclass", "multilabel"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShardInfo(_Frozen):
    """One immutable parquet file; `name` is relative to the dataset URI."""

    name: str
    sha256: str
    bytes: int
    rows: int
    """That belong to the split."""
    decoded_bytes: int
    """Image and mask bytes of all stored rows once decompressed."""
    selected: tuple[int, ...] | None = None
    """Numbers of the stored rows that belong to the split, rising; None for all. Packing selects none."""

    @model_serializer(mode="wrap")
    def _without_default(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Manifests of packed datasets stay what earlier releases read."""
        values: dict[str, Any] = dump(self)
        return {key: value for key, value in values.items() if key != "selected" or value is not None}


class SplitInfo(_Frozen):
    rows: int
    shards: tuple[ShardInfo, ...]


class ClassInfo(_Frozen):
    name: str
    colour: tuple[int, int, int]


class ChannelStats(_Frozen):
    """Pixel statistics of one image channel over the train split, or all there is without one; raw units."""

    mean: float
    std: float
    p01: float
    p50: float
    p99: float


class Instances(_Frozen):
    """How objects were packed as classes."""

    kind: Literal["border"]
    """The last class is the border of objects, the classes between the first and it are their insides."""
    border_px: int
    """Width of the border in each object."""


class Manifest(_Frozen):
    """Everything a reader needs to plan: classes, shards, fingerprint, origin."""

    schema_version: int = SCHEMA_VERSION
    version: str
    task: Task
    classes: tuple[ClassInfo, ...]
    """Binary: one entry, the foreground. Multiclass: one per index. Multilabel: one per bit."""
    ignore_index: int | None
    """IGNORE where some pixels may not count, else None."""
    spatial_dims: Literal[2, 3] = 2
    """3 where samples are volumes."""
    voxel_mm: tuple[float, ...] | None = None
    """Of volumes: median over the train rows of the distance between planes, rows and columns."""
    channels: int
    dtype: Literal["uint8", "uint16", "float32"]
    splits: dict[str, SplitInfo]
    channel_stats: tuple[ChannelStats, ...]
    resized_px: int | None = None
    """Side of the square every image was resized to; None where images kept their size or were tiled."""
    slices: Literal["axial", "coronal", "sagittal"] | None = None
    """Direction of the slices that volumes were packed as."""
    instances: Instances | None = None
    """Where masks were ids of objects, which the rows then hold as well."""
    reading: dict[str, str] = {}
    """Options that settled how files are read, by name; images to predict are read alike."""
    channel_files: int = 1
    """Files that hold the channels of one image; above 1 they are CASE_0000, CASE_0001 ..."""
    spacing_mm: tuple[float, ...] | None = None
    """Distance of pixels that images were resampled to: Z, H, W, or H, W."""
    window: tuple[float, float] | None = None
    """Centre and width of the values that images were clipped to."""
    sizes: dict[str, int]
    """Rows per "HEIGHTxWIDTH" ("PLANESxHEIGHTxWIDTH" for volumes), all splits."""
    class_pixels: tuple[int, ...]
    """Train pixels per class, in the order of `classes`; of all rows in a set without a train split."""
    foreground_histogram: tuple[int, ...]
    """Train rows, or all without a train split, per foreground decile: [0, .1), [.1, .2), ... [.9, 1]."""
    image_labels: tuple[str, ...] = ()
    """Names of the optional image-level classes; `label` in a row indexes them."""
    command: str
    versions: dict[str, str]
    fingerprint: str
    """sha256 over sources and options; the same inputs give the same value."""

    @property
    def num_classes(self) -> int:
        """Number of scored classes, also the number of logit channels (binary: 1)."""
        return len(self.classes)

    @property
    def max_size_px(self) -> tuple[int, ...]:
        """Largest (planes,) height and width over all rows, each taken on its own."""
        return tuple(map(max, zip(*self._shapes(), strict=True)))

    @property
    def min_size_px(self) -> tuple[int, ...]:
        """Smallest (planes,) height and width over all rows, each taken on its own."""
        return tuple(map(min, zip(*self._shapes(), strict=True)))

    def _shapes(self) -> list[tuple[int, ...]]:
        return [tuple(map(int, size.split("x"))) for size in self.sizes]
