"""What the first pass says of pairs that do not belong together."""

import numpy as np
from PIL import Image

from unetpp.data.pack.discover import Pair, Rejection
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.scan import ScannedPair, scan_pair
from unetpp.data.sources.files import FileRef


def scan(folder, image, mask):
    return scan_pair(
        Pair("a", (FileRef(str(folder), image),), FileRef(str(folder), mask), None), PackOptions()
    )


def test_scan_of_a_mask_that_was_not_turned_with_its_image_names_the_orientation(tmp_path, save):
    turned = Image.Exif()
    turned[0x0112] = 6
    save(tmp_path / "a.jpg", np.zeros((40, 60, 3), np.uint8), exif=turned)
    save(tmp_path / "mask.png", np.zeros((40, 60), np.uint8))
    save(tmp_path / "upright.png", np.zeros((60, 40), np.uint8))
    save(tmp_path / "small.png", np.zeros((8, 8), np.uint8))
    found = scan(tmp_path, "a.jpg", "mask.png")
    assert isinstance(found, Rejection)
    assert "mask is 40x60, image 60x40 pixels: one is turned against the other, and an EXIF" in found.reason
    assert isinstance(scan(tmp_path, "a.jpg", "upright.png"), ScannedPair)
    assert "orientation" not in scan(tmp_path, "a.jpg", "small.png").reason
