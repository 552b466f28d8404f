from collections.abc import Callable

import pytest

from machines import GIB, machine
from unetpp.config import Hardware
from unetpp.core.manifest import ClassInfo, Manifest, SplitInfo


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
    return machine()


@pytest.fixture
def gpu_node() -> Hardware:
    return machine(32, 256 * GIB, 4, 40 * GIB)
