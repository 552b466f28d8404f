"""Own data, from arrays to masks: pack, train, load, predict.

    python examples/own_data.py

Any program that can hand out (name, image, mask) can do this; here it draws bright discs on noise.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import unetpp

SIDE_PX = 64


def discs(count: int, seed: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(name, uint8 image H x W x 3, mask H x W): what `pack` takes, one after another."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    for index in range(count):
        centre_y, centre_x = generator.integers(12, SIDE_PX - 12, 2)
        mask = (y - centre_y) ** 2 + (x - centre_x) ** 2 < generator.integers(6, 12) ** 2
        image = generator.integers(0, 120, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
        image[mask] += 100
        yield f"disc{index:03d}", image, mask


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="unetpp-own-data-"))

    # Split at random; {"train": ..., "test": ...} names splits of your own.
    packed = unetpp.pack(arrays=discs(60, seed=0), out=folder / "dataset", val=0.2, test=0.2)
    print(packed)

    # Everything else is decided from the dataset and this machine; progress says what, and why.
    run = unetpp.train(
        folder / "dataset",
        out=folder / "run",
        overrides={"model.depth": 2, "model.width": 8, "train.epochs": 4, "optim.lr": 0.01},
        progress=True,
    )
    print(run)
    print(unetpp.evaluate(run.run, split="test"))

    # The best network of the run, cut to its first level: the cheapest of those that were trained.
    network = unetpp.load(run.run, level=1)
    for name, image, mask in discs(2, seed=1):
        found = network.predict(image)
        print(f"{name}: {found}; {(found.mask == mask).mean():.1%} of pixels as drawn")


if __name__ == "__main__":
    main()
