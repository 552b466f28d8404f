from collections.abc import Callable

import pytest

from unetpp.config import Hardware
from unetpp.core.manifest import ClassInfo, Manifest, SplitInfo

GIB = 2**30


@pytest.fixture
def make_manifest() -> Callable[..., Manifest]:
    """A binary RGB dataset of 200 train rows; sizes are rows per "HEIGHTxWIDTH"."""

    def make(
        sizes: dict[str, int] | None = None, rows: int = 200, channels: int = 3, labels: tuple[str, ...] = ()
    ) -> Manifest:
        return Manifest(
            version="v1",
            task="binary",
            classes=(ClassInfo(name="cell", colour=(255, 0, 0)),),
            ignore_index=None,
            channels=channels,
            dtype="uint8",
            splits={"train": SplitInfo(rows=rows, shards=())},
            channel_stats=(),
            sizes=sizes or {"128x128": rows},
            class_pixels=(1,),
            foreground_histogram=(0,) * 10,
            image_labels=labels,
            command="unetpp data pack",
            versions={},
            fingerprint="f",
        )

    return make


@pytest.fixture
def laptop() -> Hardware:
    return Hardware(cpus=2, memory_bytes=8 * GIB, gpus=0, gpu_memory_bytes=0)


@pytest.fixture
def gpu_node() -> Hardware:
    return Hardware(cpus=32, memory_bytes=256 * GIB, gpus=4, gpu_memory_bytes=40 * GIB)
