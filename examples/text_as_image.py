"""Text as an image: lines are drawn, digits are segmented, and found ones are boxes again.

    python examples/text_as_image.py

The same serves scanned forms: what has a place on a page, such as an amount, is a class of pixels.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import unetpp

HEIGHT_PX, WIDTH_PX, SIZE_PX = 32, 192, 20
WORDS = ("invoice", "total", "due", "order", "paid", "item", "no", "sum")


def lines(count: int, seed: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(text, uint8 image H x W x 1, mask H x W): dark letters on paper, a mask of the digits among them."""
    generator = np.random.default_rng(seed)
    font = ImageFont.load_default(SIZE_PX)
    for index in range(count):
        first, second = generator.choice(WORDS, 2)
        text = f"{first} {generator.integers(10, 99999)} {second}"
        ink = [Image.new("L", (WIDTH_PX, HEIGHT_PX)) for _ in range(2)]
        left, top = (int(value) for value in generator.integers(0, 5, 2))
        for place, letter in enumerate(text):
            at = (left + font.getlength(text[:place]), top)
            for layer in ink if letter.isdigit() else ink[:1]:
                ImageDraw.Draw(layer).text(at, letter, fill=255, font=font)
        written, digits = (np.asarray(layer, dtype=np.float32) / 255 for layer in ink)
        paper = generator.normal(200, 12, written.shape)
        image = (paper * (1 - 0.7 * written)).clip(0, 255).astype(np.uint8)
        yield f"{index:03d} {text}", image[..., None], digits > 0.5


def boxes(mask: np.ndarray, gap_px: int = 8) -> list[tuple[int, int]]:
    """First and last column of each run of found columns; gaps between digits are no ends."""
    columns = np.flatnonzero(mask.any(0))
    parts = np.split(columns, np.flatnonzero(np.diff(columns) > gap_px) + 1)
    return [(int(part[0]), int(part[-1])) for part in parts if part.size]


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="unetpp-text-"))
    print(unetpp.pack(arrays=lines(80, seed=0), out=folder / "dataset", val=0.2, test=0.1))

    # Text has an up and a direction, so it is not flipped; a crop sees a few letters.
    network = {"model.depth": 3, "model.width": 8, "model.norm": "batch", "data.crop": HEIGHT_PX}
    training = {"train.epochs": 24, "train.validate_every": 8, "optim.lr": 0.01, "data.batch_size": 8}
    upright = {"augment.flip": 0, "augment.affine": 0}
    run = unetpp.train(folder / "dataset", out=folder / "run", overrides=network | training | upright)
    print(unetpp.evaluate(run.run, split="test"))

    predictor = unetpp.load(run.run)
    for text, image, mask in lines(3, seed=1):
        found = predictor.predict(image).mask
        print(f"{text!r}: digits drawn in columns {boxes(mask)}, found in {boxes(found)}")


if __name__ == "__main__":
    main()
