"""Which version of which dataset a run is scored on, and what of it the run was trained on."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unetpp.cli.main import run as command
from unetpp.core.errors import InputError
from unetpp.core.manifest import Manifest
from unetpp.core.rundir import RunDir
from unetpp.core.storage import Storage, open_storage
from unetpp.data.dataset.manifests import commit_manifest
from unetpp.data.dataset.repack import repack
from unetpp.data.dataset.sample import Sample
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack
from unetpp.inference.ensemble.load import load_member
from unetpp.inference.evaluate import check_dataset, evaluate
from unetpp.inference.evaluation.overlap import count_overlap
from untrained_run import random_samples, write_untrained_run

SIZES = [(24, 24)] * 3


@pytest.fixture
def run(tmp_path) -> str:
    return write_untrained_run(tmp_path, sizes=SIZES)


def data_of(run: str) -> Storage:
    return open_storage(RunDir(run).read_config()["data"]["uri"])


def commit_next(run: str, **splits: str) -> Manifest:
    """A newer version whose splits hold the rows of the first version's."""
    first = RunDir(run).read_dataset()
    newer = first.model_copy(
        update={
            "version": "00002",
            "fingerprint": "e" * 64,
            "splits": {name: first.splits[of] for name, of in splits.items()},
        }
    )
    commit_manifest(data_of(run), newer)
    return newer


def test_evaluate_scores_the_version_that_was_trained_on(run):
    before = evaluate(run, split="test")
    commit_next(run, train="test", val="val", test="train")
    after = evaluate(run, split="test")
    assert after["dataset"]["version"] == "00001"
    assert (after["rows"], after["dice"], after["overlap"]) == (3, before["dice"], 0)


def test_evaluate_of_another_version_counts_the_images_that_were_trained_on(run, capsys):
    commit_next(run, train="val", val="val", test="train")
    uri = data_of(run).uri
    assert evaluate(run, split="test", data_uri=uri)["overlap"] == 3
    assert evaluate(run, split="val", data_uri=uri)["overlap"] == 0
    assert command(["evaluate", run, f"data.uri={uri}", "--json"]) == 0
    assert "3 of 3 images were trained on" in capsys.readouterr().err


def test_evaluate_of_the_training_split_says_that_it_was_trained_on(run):
    assert evaluate(run, split="train")["overlap"] == 3


@pytest.mark.slow
def test_evaluate_where_the_trained_images_are_gone_does_not_claim_that_none_overlaps(run, tmp_path, capsys):
    other = write_untrained_run(tmp_path, sizes=SIZES, name="other")
    newer = RunDir(other).read_dataset().model_copy(update={"version": "00002", "fingerprint": "e" * 64})
    commit_manifest(data_of(other), newer)
    shutil.rmtree(data_of(run).local_path())
    assert command(["evaluate", run, f"data.uri={data_of(other).uri}", "--json"]) == 0
    captured = capsys.readouterr()
    assert '"overlap": null' in captured.out
    assert "cannot be read" in captured.err


def test_evaluate_without_the_shards_of_its_version_says_what_can_be_done(run):
    data = data_of(run)
    data.delete(RunDir(run).read_dataset().splits["test"].shards[0].name)
    with pytest.raises(InputError, match=r"1 of 1 shards of dataset version 00001 are gone.*data\.uri="):
        evaluate(run, split="test")
    assert evaluate(run, split="val")["rows"] == 3


def test_evaluate_on_a_set_only_for_evaluation_works_from_files_to_scores(run, tmp_path):
    """The first image is one of the training's under another name and in another format."""
    seen, new = random_samples("binary", SIZES, 0)[0], random_samples("binary", SIZES, 77)[0]
    for name, sample in (("new.png", new), ("renamed.tif", seen)):
        for kind, pixels in (("images", sample.image), ("masks", sample.mask * np.uint8(255))):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / kind / name)
    folder = SourceFolder(str(tmp_path / "images"), str(tmp_path / "masks"), "test")
    out = str(tmp_path / "only-test")
    pack([folder], out, PackOptions())
    manifest = RunDir(run).read_dataset()
    names = tuple(c.model_copy(update={"name": "foreground"}) for c in manifest.classes)
    RunDir(run).storage.write(
        "dataset.json", manifest.model_copy(update={"classes": names}).model_dump_json().encode()
    )
    result = evaluate(run, data_uri=out)
    assert (result["split"], result["rows"], result["overlap"]) == ("test", 2, 1)


@pytest.mark.parametrize(
    ("labels", "head", "refused"),
    [
        (("a", "b"), 2, False),
        (("b", "a"), 2, True),
        (("a", "b", "c"), 2, True),
        ((), 2, False),
        (("x",), 0, False),
    ],
)
def test_check_dataset_compares_image_labels_where_both_sides_have_them(run, labels, head, refused):
    network = load_member(run, None, None, torch.device("cpu"))
    trained = network.manifest.model_copy(update={"image_labels": ("a", "b")})
    loaded = replace(network, manifest=trained, image_classes=head)
    manifest = trained.model_copy(update={"image_labels": labels})
    if not refused:
        check_dataset(manifest, loaded)
        return
    with pytest.raises(InputError, match="image labels"):
        check_dataset(manifest, loaded)


@pytest.mark.parametrize("options", [PackOptions(), PackOptions(tile_px=16), PackOptions(size_px=8)])
def test_overlap_is_found_among_tiles_sizes_names_and_formats(tmp_path, options):
    """Four of the six later images are those that were trained on, saved anew."""
    trained = [(f"{i}.png", sample) for i, sample in enumerate(random_samples("binary", [(32, 32)] * 4, 0))]
    fresh = [(f"n{i}.png", sample) for i, sample in enumerate(random_samples("binary", [(32, 32)] * 2, 9))]
    again = [(f"other-{name.replace('png', 'bmp')}", sample) for name, sample in trained]
    first = pack_samples(tmp_path / "first", "train", trained, PackOptions())
    later = pack_samples(tmp_path / "later", "test", [*fresh, *again], options)
    rows = later[1].splits["test"].rows
    assert count_overlap(*later, "test", trained=first) == rows * 4 // 6
    assert count_overlap(*first, "train", trained=first) == 4


def test_overlap_of_copies_in_the_version_itself_is_counted(tmp_path):
    samples = random_samples("binary", [(32, 32)] * 2, 0)
    named = [(f"{i}.png", sample) for i, sample in enumerate(samples)]
    folders = [
        write_files(tmp_path / split, split, named[: 2 - at]) for at, split in enumerate(("train", "test"))
    ]
    out = str(tmp_path / "out")
    packed = (open_storage(out), pack(folders, out, PackOptions()).manifest)
    assert count_overlap(*packed, "test", trained=packed) == 1


def test_overlap_outlives_a_repacking(tmp_path):
    named = [(f"{i}.png", sample) for i, sample in enumerate(random_samples("binary", [(32, 32)] * 3, 0))]
    first = pack_samples(tmp_path / "first", "train", named, PackOptions(tile_px=16))
    target = open_storage(str(tmp_path / "again"))
    assert count_overlap(target, repack(first[0], target), "train", trained=first) == 12


def write_files(folder: Path, split: str, named: list[tuple[str, Sample]]) -> SourceFolder:
    for name, sample in named:
        for kind, pixels in (("images", sample.image), ("masks", sample.mask * np.uint8(255))):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / kind / name)
    return SourceFolder(str(folder / "images"), str(folder / "masks"), split)


def pack_samples(folder, split, named, options) -> tuple[Storage, Manifest]:
    out = str(folder / "packed")
    return open_storage(out), pack([write_files(folder, split, named)], out, options).manifest
