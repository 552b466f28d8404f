"""Machines and datasets that are described in words instead of being looked at."""

import re
from collections.abc import Sequence

from unetpp.config.planning.hardware import Hardware, Node
from unetpp.core.errors import ConfigError
from unetpp.core.manifest import ClassInfo, Manifest, SplitInfo

__all__ = ["described_dataset", "described_hardware"]

_GIB = 2**30
_NODES = re.compile(r"(?:(\d+) *x +)?((?:[a-z_]+=\S+ *)+)")
_NUMBERS = ("cpus", "gpus", "memory_gib", "gpu_memory_gib")
_DATASET = re.compile(r"(\d+)x(\d+)x(\d+)x(\d+)")


def described_hardware(texts: Sequence[str]) -> Hardware:
    """Nodes such as `16 x cpus=128 memory_gib=1024 gpus=8 gpu_memory_gib=80 accelerator_type=H100`.

    Raises:
        ConfigError: a text does not read so.
    """
    return Hardware(tuple(node for text in texts for node in _nodes(text)))


def described_dataset(text: str) -> Manifest:
    """A binary dataset of images of one size, such as `20000x256x256x3`: rows, height, width, channels.

    Raises:
        ConfigError: the text does not read so.
    """
    found = _DATASET.fullmatch(text)
    if found is None:
        raise ConfigError(
            f"--dataset must read ROWSxHEIGHTxWIDTHxCHANNELS; got {text!r}; use 20000x256x256x3"
        )
    rows, height, width, channels = map(int, found.groups())
    split = SplitInfo(rows=rows, shards=())
    return Manifest(
        version="described",
        task="binary",
        classes=(ClassInfo(name="object", colour=(255, 0, 0)),),
        ignore_index=None,
        channels=channels,
        dtype="uint8",
        splits={"train": split, "val": split},
        channel_stats=(),
        sizes={f"{height}x{width}": 2 * rows},
        class_pixels=(rows * height * width // 4,),
        foreground_histogram=(0,) * 10,
        image_labels=(),
        command="",
        versions={},
        fingerprint="",
    )


def _nodes(text: str) -> list[Node]:
    found = _NODES.fullmatch(text.strip())
    fields = dict(pair.split("=", 1) for pair in found.group(2).split()) if found else {}
    try:
        numbers = {name: float(fields.pop(name)) for name in _NUMBERS if name in fields}
        node = Node(
            cpus=numbers["cpus"],
            memory_bytes=_bytes(numbers.get("memory_gib")),
            gpus=numbers.get("gpus", 0.0),
            gpu_memory_bytes=_bytes(numbers.get("gpu_memory_gib")),
            accelerator_type=fields.pop("accelerator_type", ""),
            labels=fields,
        )
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"--node must read `[COUNT x] cpus=N [{'=N] ['.join(_NUMBERS[1:])}=N]`; got {text!r}; labels are "
            "given as NAME=VALUE"
        ) from error
    return [node] * int(found.group(1) or 1) if found else []


def _bytes(gib: float | None) -> int | None:
    return None if gib is None else int(gib * _GIB)
