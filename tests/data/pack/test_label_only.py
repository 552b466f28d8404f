"""Images with a label and no mask, from a folder to a trained and evaluated run."""

import numpy as np
import pytest
from PIL import Image

from fakes import start_run, tiny_config, train
from unetpp.core.errors import InputError
from unetpp.core.manifest import IGNORE
from unetpp.core.storage import open_storage
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.dataset.verify import verify
from unetpp.data.pack.classes import ClassEntry, ClassSpec
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack
from unetpp.inference.evaluate import evaluate

CLASSES = ClassSpec(classes=(ClassEntry(name="defect"),), image_labels=("scratch", "pore"))
MASKED, WEAK = 12, 4


@pytest.fixture
def source(tmp_path) -> SourceFolder:
    """Of each label some images with a mask and some without; one without lies in no label's folder."""
    generator = np.random.default_rng(0)
    for label, shade in (("scratch", 60), ("pore", 200)):
        for kind in ("images", "masks"):
            (tmp_path / kind / label).mkdir(parents=True)
        for index in range(MASKED + WEAK):
            image = generator.integers(0, 40, (16, 16)).astype(np.uint8)
            mask = np.zeros((16, 16), np.uint8)
            mask[4:10, 3:12] = 1
            image[mask == 1] = shade
            Image.fromarray(image).save(tmp_path / "images" / label / f"{index}.png")
            if index < MASKED:
                Image.fromarray(mask).save(tmp_path / "masks" / label / f"{index}.png")
    Image.fromarray(image).save(tmp_path / "images" / "plain.png")
    return SourceFolder(str(tmp_path / "images"), str(tmp_path / "masks"))


def packed(source, out, **options):
    chosen = PackOptions(val=0.25, test=0.25, classes=CLASSES, **options)
    return pack([source], str(out), chosen)


@pytest.mark.parametrize("options", [{}, {"size_px": 8}, {"tile_px": 8}])
def test_pack_keeps_them_with_their_label_and_masks_that_are_ignored(source, tmp_path, options):
    result = packed(source, tmp_path / "out", label_only=True, **options)
    storage = open_storage(str(tmp_path / "out"))
    rows = [s for split in result.manifest.splits for s in iter_samples(storage, result.manifest, split)]
    weak = {s.sample_id.partition("@")[0]: s.label for s in rows if (s.mask == IGNORE).all()}
    expected = {
        f"{n}/{i}": k for k, n in enumerate(CLASSES.image_labels) for i in range(MASKED, MASKED + WEAK)
    }
    assert weak == expected
    assert len({s.sample_id.partition("@")[0] for s in rows}) == 2 * (MASKED + WEAK)
    assert [r.file.rpartition("/")[2] for r in result.rejections] == ["plain.png"]
    assert result.manifest.ignore_index == IGNORE
    assert verify(storage).problems == ()
    train_rows = sum(s.mask.min() < IGNORE for s in iter_samples(storage, result.manifest, "train"))
    assert sum(result.manifest.foreground_histogram) == train_rows


def test_pack_without_being_asked_leaves_them_out(source, tmp_path):
    result = packed(source, tmp_path / "out")
    assert len(result.rejections) == 2 * WEAK + 1
    assert result.manifest.ignore_index is None


def test_pack_label_only_without_labels_is_refused(source, tmp_path):
    with pytest.raises(InputError, match="--label-only keeps images for their label; name the labels"):
        pack([source], str(tmp_path / "out"), PackOptions(label_only=True))


def test_pack_of_an_image_whose_mask_is_not_clear_does_not_keep_it_for_its_label(source, tmp_path):
    np.save(tmp_path / "masks" / "pore" / "3.npy", np.ones((16, 16), np.uint8))
    result = packed(source, tmp_path / "out", label_only=True)
    reasons = {rejection.file: rejection.reason for rejection in result.rejections}
    (reason,) = (reason for file, reason in reasons.items() if file.endswith("images/pore/3.png"))
    assert reason.startswith("its masks are left out: several masks")
    assert sum(split.rows for split in result.manifest.splits.values()) == 2 * (MASKED + WEAK) - 1


def test_pack_in_which_no_mask_can_be_used_is_refused_with_the_reasons(source, tmp_path):
    for path in (tmp_path / "masks").rglob("*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(InputError, match=rf"no image and mask pair can be packed, {2 * MASKED + 1} files"):
        packed(source, tmp_path / "out", label_only=True)


@pytest.mark.slow
def test_run_learns_labels_from_them_and_scores_masks_of_the_others_only(source, tmp_path):
    manifest = packed(source, tmp_path / "data", label_only=True).manifest
    config = tiny_config(
        str(tmp_path / "data"),
        data={"crop": 14, "foreground": 1.0},
        model={"image_classes": 2},
        loss={"image": 1.0, "lovasz": 0.1, "cldice": 0.1, "boundary": 0.1, "focal": 0.1, "hardest": 0.5},
        tune={"metric": "dice_and_labels"},
        optim={"lr": 0.02},
        train={"epochs": 12},
    )
    job = start_run(config.model_copy(update={"out": str(tmp_path / "run")}), manifest)
    state = train(job)
    assert state.nonfinite_steps == 0
    storage = open_storage(str(tmp_path / "data"))
    rows = list(iter_samples(storage, manifest, "train"))
    scores = evaluate(job.run_uri, split="train")
    assert scores["image_labels"]["images"] == len(rows) == scores["rows"]
    assert np.sum(scores["confusion"]["counts"]) == sum(int((s.mask != IGNORE).sum()) for s in rows)
    assert scores["image_labels"]["accuracy"] > 0.9
