"""Other libraries' readers for the reading benchmark, each as its documentation sets it up.

A reader is prepared once in its process, imports included, and gives a function that iterates over an epoch.
All shuffle, use the same batch size and read with as many worker processes as ours has reading tasks.
Two of the libraries depend on torchvision, of which nothing here is used; without it, in an environment of
their own:

    pip install --no-deps litdata lightning-utilities obstore tifffile boto3 s3transfer jmespath
    pip install --no-deps mosaicml-streaming "transformers<5" "tokenizers<0.23" "huggingface_hub<1" regex \
        catalogue zstd Brotli python-snappy cramjam xxhash
    pip install --no-deps webdataset braceexpand
"""

import contextlib
import importlib
import os
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["OPEN", "RIVALS", "Epoch", "Spec", "import_litdata", "import_mosaic"]

Spec = Mapping[str, Any]
"""bucket (URI), pngs, cache (folders), batch_size, workers, samples."""
Epoch = Callable[[], Iterable[tuple[Any, Any]]]
OPEN = contextlib.ExitStack()
"""What a reader keeps open until its process has measured."""


def import_litdata() -> types.ModuleType:
    return importlib.import_module("litdata")


def import_mosaic() -> types.ModuleType:
    # Only its ready-made vision datasets, which are not used here, need torchvision.
    sys.modules.setdefault("streaming.vision", types.ModuleType("streaming.vision"))
    return importlib.import_module("streaming")


def ray_parquet(spec: Spec) -> Epoch:
    """`ray.data.read_parquet(...).iter_torch_batches(...)` over the very shards that ours reads."""
    import pyarrow.fs
    import ray
    import s3fs
    import torch

    from unetpp.launch.connect import connected

    OPEN.enter_context(connected(None))
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    files = s3fs.S3FileSystem(endpoint_url=endpoint)
    paths = [f"s3://{path}" for path in files.glob(f"{spec['bucket']}/ours/shards/*.parquet")]
    scheme, _, address = endpoint.partition("://")
    filesystem = pyarrow.fs.S3FileSystem(endpoint_override=address, scheme=scheme, region="us-east-1")

    def collate(batch: Any) -> tuple[Any, Any]:
        shapes = {"image": (256, 256, 3), "mask": (256, 256)}
        images, masks = (
            torch.from_numpy(
                np.stack([np.frombuffer(v.as_buffer(), np.uint8).reshape(shape) for v in batch[name]])
            )
            for name, shape in shapes.items()
        )
        return images, masks

    def epoch() -> Iterable[tuple[Any, Any]]:
        dataset = ray.data.read_parquet(
            [path.removeprefix("s3://") for path in paths],
            filesystem=filesystem,
            columns=["image", "mask"],
            shuffle="files",
        )
        return dataset.iter_torch_batches(batch_size=spec["batch_size"], collate_fn=_ArrowCollate.of(collate))

    return epoch


class _ArrowCollate:
    """Ray hands Arrow to a collate function only if it says so by its class."""

    @staticmethod
    def of(function: Callable[[Any], Any]) -> Any:
        from ray.data.collate_fn import ArrowBatchCollateFn

        class Collate(ArrowBatchCollateFn):
            def __call__(self, batch: Any) -> Any:
                return function(batch)

        return Collate()


def torch_png(spec: Spec) -> Epoch:
    """torch DataLoader over the local folder of PNG files, decoded by Pillow."""
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    folder = Path(spec["pngs"])
    names = sorted(path.name for path in (folder / "images").iterdir())

    class Folder(Dataset[Any]):
        def __len__(self) -> int:
            return len(names)

        def __getitem__(self, index: int) -> Any:
            return tuple(np.array(Image.open(folder / kind / names[index])) for kind in ("images", "masks"))

    loader = DataLoader(Folder(), spec["batch_size"], shuffle=True, num_workers=spec["workers"])
    return lambda: iter(loader)


def litdata(spec: Spec) -> Epoch:
    lib = import_litdata()
    # Its fast S3 client speaks to HTTPS alone otherwise.
    options = importlib.import_module("litdata.streaming.downloader")._OBSTORE_CLIENT_OPTIONS
    options["allow_http"] = True
    dataset = lib.StreamingDataset(
        f"{spec['bucket']}/litdata",
        cache_dir=str(Path(spec["cache"]) / "litdata"),
        shuffle=True,
        storage_options={"endpoint_url": os.environ["AWS_ENDPOINT_URL"]},
    )
    loader = lib.StreamingDataLoader(
        dataset, batch_size=spec["batch_size"], num_workers=spec["workers"], shuffle=True
    )
    return lambda: ((batch["image"], batch["mask"]) for batch in loader)


def mosaic(spec: Spec) -> Epoch:
    lib = import_mosaic()
    os.environ["S3_ENDPOINT_URL"] = os.environ["AWS_ENDPOINT_URL"]
    from torch.utils.data import DataLoader

    dataset = lib.StreamingDataset(
        remote=f"{spec['bucket']}/mosaic",
        local=str(Path(spec["cache"]) / "mosaic"),
        batch_size=spec["batch_size"],
        shuffle=True,
    )
    loader = DataLoader(dataset, batch_size=spec["batch_size"], num_workers=spec["workers"])
    return lambda: ((batch["image"], batch["mask"]) for batch in loader)


def webdataset(spec: Spec) -> Epoch:
    wds = importlib.import_module("webdataset")
    import s3fs

    files = s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    urls = [f"s3://{path}" for path in files.glob(f"{spec['bucket']}/webdataset/*.tar")]
    cache = Path(spec["cache"]) / "webdataset"
    cache.mkdir(parents=True, exist_ok=True)

    def open_s3(url: str, *_args: Any, **_options: Any) -> Any:
        client = s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"], skip_instance_cache=True)
        return client.open(url, "rb")

    wds.gopen_schemes["s3"] = open_s3
    dataset = (
        wds.WebDataset(urls, shardshuffle=len(urls), cache_dir=str(cache), empty_check=False)
        .shuffle(256)
        .decode()
        .to_tuple("image.npy", "mask.npy")
        .batched(spec["batch_size"])
    )
    loader = wds.WebLoader(dataset, batch_size=None, num_workers=spec["workers"])
    return lambda: iter(loader)


RIVALS: dict[str, Callable[[Spec], Epoch]] = {
    "ray.data.read_parquet": ray_parquet,
    "torch DataLoader, PNG": torch_png,
    "LitData": litdata,
    "MosaicML Streaming": mosaic,
    "WebDataset": webdataset,
}
