"""A storage that fails while a dataset is packed aborts the packing; one bad file is one rejection."""

import json
import shutil
from functools import partial
from pathlib import Path

import pytest

from faulty_proxy import FaultyProxy
from unetpp.cli.main import run
from unetpp.core.errors import InputError, StorageError
from unetpp.core.storage import Storage
from unetpp.data.dataset.manifests import list_versions, load_manifest
from unetpp.data.dataset.verify import verify
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack
from unetpp.data.pack.rejections import RejectionLimit
from unetpp.data.pack.scan import scan_pair
from unetpp.data.pack.shard_writer import write_shard
from unetpp.data.sources import files as sources

COUNT = 12


@pytest.fixture
def copy(cells, tmp_path) -> SourceFolder:
    """The twelve pairs, to be damaged."""
    for name in ("images", "masks"):
        shutil.copytree(Path(cells.images).with_name(name), tmp_path / "source" / name)
    return SourceFolder(str(tmp_path / "source" / "images"), str(tmp_path / "source" / "masks"))


@pytest.fixture
def raw(cells, s3_env) -> str:
    """A bucket with the twelve pairs below `raw/`."""
    bucket = Storage(s3_env.new_bucket())
    for name, folder in (("images", cells.images), ("masks", cells.masks)):
        for file in Path(folder).iterdir():
            bucket.write(f"raw/{name}/{file.name}", file.read_bytes())
    return bucket.uri


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Sources that stay away are given up after seconds; a busy machine's answers take less."""
    sources.source_storage.cache_clear()
    monkeypatch.setattr(sources, "open_storage", partial(Storage, deadline_s=8.0))
    yield
    sources.source_storage.cache_clear()


def pack_here(folder: SourceFolder, out: Path | str, **options):
    return pack([folder], str(out), PackOptions(val=0.25, test=0), **options)


def command(bucket: str, out: Path) -> list[str]:
    return [
        *("data", "pack", "--images", f"{bucket}/raw/images", "--masks", f"{bucket}/raw/masks"),
        *("--out", str(out), "--workers", "0", "--json"),
    ]


def acts_before(when, index: int, act):
    """A runner that does something before an item of one pass."""

    def runner(function, items):
        is_pass = getattr(function, "func", function) is when
        for number, item in enumerate(items):
            if is_pass and number == index:
                act()
            yield function(item)

    return runner


@pytest.mark.s3
@pytest.mark.parametrize(
    ("fault", "after"),
    [
        *(("expired", after) for after in (COUNT, 2 * COUNT, 3 * COUNT)),
        *(pytest.param("denied", after, marks=pytest.mark.nightly) for after in (COUNT, 2 * COUNT)),
        ("denied", 3 * COUNT),
        ("503", 3 * COUNT),
    ],
)
def test_pack_whose_source_fails_half_way_commits_nothing_and_goes_on_later(
    raw, proxy: FaultyProxy, tmp_path, capsys, fault, after
):
    """In the first pass, between the two (after 24 files) and in the second one."""
    proxy.watched = "/raw/"
    proxy.fail(fault, after=after)
    assert run(command(raw, tmp_path / "out")) == 2
    errors = capsys.readouterr().err
    assert "cannot use s3://" in errors
    assert "Traceback" not in errors
    assert list_versions(Storage(str(tmp_path / "out"))) == []
    assert not (tmp_path / "out" / "rejected.jsonl").exists()
    proxy.fail(fault, times=0)
    assert run(command(raw, tmp_path / "out")) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["rows"], result["rejected"]) == (COUNT, 0)
    assert verify(Storage(str(tmp_path / "out"))).ok


@pytest.mark.s3
@pytest.mark.parametrize("order", ["first", "last"])
def test_pack_with_one_refused_file_rejects_it_and_packs_the_others(raw, proxy, tmp_path, cells, order):
    names = sorted(path.name for path in Path(cells.images).iterdir())
    refused = names[0] if order == "first" else names[-1]
    proxy.watched = f"/raw/masks/{refused}"
    proxy.fail("denied")
    result = pack_here(SourceFolder(f"{raw}/raw/images", f"{raw}/raw/masks"), tmp_path / "out")
    assert [rejection.file for rejection in result.rejections] == [f"{raw}/raw/masks/{refused}"]
    assert "permission denied" in result.rejections[0].reason
    assert sum(split.rows for split in result.manifest.splits.values()) == COUNT - 1


@pytest.mark.s3
def test_pack_with_a_split_that_is_refused_as_a_whole_commits_nothing(raw, proxy, tmp_path, cells):
    proxy.watched = "/raw/"
    proxy.fail("denied")
    folders = [
        SourceFolder(cells.images, cells.masks, "train"),
        SourceFolder(f"{raw}/raw/images", f"{raw}/raw/masks", "test"),
    ]
    with pytest.raises(StorageError, match=r"no file of .*/raw/images could be read"):
        pack(folders, str(tmp_path / "out"), PackOptions())
    assert list_versions(Storage(str(tmp_path / "out"))) == []


@pytest.mark.parametrize("when", [scan_pair, write_shard])
def test_pack_whose_source_folder_goes_away_commits_nothing(copy, tmp_path, when):
    def unmount() -> None:
        Path(copy.images).rename(tmp_path / "away")

    at = 6 if when is scan_pair else 1
    with pytest.raises(StorageError, match="read before"):
        pack_here(copy, tmp_path / "out", run=acts_before(when, at, unmount))
    assert list_versions(Storage(str(tmp_path / "out"))) == []
    (tmp_path / "away").rename(copy.images)
    assert pack_here(copy, tmp_path / "out").rejections == ()


def test_pack_with_one_file_deleted_meanwhile_rejects_it(copy, tmp_path):
    victim = max(Path(copy.images).iterdir())
    result = pack_here(copy, tmp_path / "out", run=acts_before(scan_pair, 3, victim.unlink))
    assert [Path(rejection.file).name for rejection in result.rejections] == [victim.name]


def test_pack_with_a_link_that_leads_nowhere_or_to_itself_rejects_it(copy, tmp_path):
    for name, target in (("a-loop", "a-loop"), ("z-gone", "nowhere")):
        (Path(copy.images) / f"{name}.png").symlink_to(f"{target}.png")
        shutil.copy(next(Path(copy.masks).iterdir()), Path(copy.masks) / f"{name}.png")
    result = pack_here(copy, tmp_path / "out")
    assert {Path(rejection.file).name for rejection in result.rejections} == {"a-loop.png", "z-gone.png"}


@pytest.mark.parametrize(
    ("limit", "refused"), [("0", True), ("1", True), ("2", False), ("15%", True), ("17%", False)]
)
def test_pack_with_more_rejections_than_allowed_commits_nothing(copy, tmp_path, limit, refused):
    for file in sorted(Path(copy.images).iterdir())[:2]:
        file.write_bytes(b"no image")
    options = {"max_rejected": RejectionLimit.parse(limit)}
    if not refused:
        assert len(pack_here(copy, tmp_path / "out", **options).rejections) == 2
        return
    with pytest.raises(InputError, match=rf"2 of 12 files cannot be packed.*--max-rejected {limit}"):
        pack_here(copy, tmp_path / "out", **options)
    assert list_versions(Storage(str(tmp_path / "out"))) == []
    assert len((tmp_path / "out" / "rejected.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("text", ["", "-1", "1.5", "101%", "few", "%", "nan%"])
def test_rejection_limit_that_is_none_says_what_to_write(text):
    with pytest.raises(InputError, match="use 10 or 5%"):
        RejectionLimit.parse(text)


def test_pack_again_after_a_refused_limit_leaves_the_committed_version(copy, tmp_path):
    pack_here(copy, tmp_path / "out")
    before = load_manifest(Storage(str(tmp_path / "out")))
    next(Path(copy.images).iterdir()).write_bytes(b"no image")
    with pytest.raises(InputError, match="--max-rejected 0"):
        pack_here(copy, tmp_path / "out", overwrite=True, max_rejected=RejectionLimit.parse("0"))
    assert load_manifest(Storage(str(tmp_path / "out"))) == before
