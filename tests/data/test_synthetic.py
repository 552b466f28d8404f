import numpy as np
from PIL import Image

from unetpp.data.synthetic import make_cells


def test_make_cells_twice_gives_the_same_files(tmp_path):
    for name in ("a", "b"):
        make_cells(tmp_path / name, 2, 48, seed=5)
    for path in sorted((tmp_path / "a").rglob("*.png")):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_make_cells_is_not_separated_by_a_threshold(tmp_path):
    make_cells(tmp_path, 4, 96, seed=0)
    best = []
    for path in sorted((tmp_path / "images").iterdir()):
        image, mask = np.asarray(Image.open(path)), np.asarray(Image.open(tmp_path / "masks" / path.name)) > 0
        assert 0.05 < mask.mean() < 0.7
        dice = [2 * (mask & (image > t)).sum() / (mask.sum() + (image > t).sum()) for t in range(20, 230, 5)]
        best.append(max(dice))
    assert 0.3 < np.mean(best) < 0.95
