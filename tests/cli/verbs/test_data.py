import json
import shutil
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from unetpp.cli.verbs.data import register
from unetpp.core.errors import ExistsError, InputError
from unetpp.data.synthetic import make_cells


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    register(app)
    return app


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cells")
    make_cells(folder, 10, 32, seed=0)
    return folder


def run(app: typer.Typer, *arguments: object, code: int = 0) -> dict:
    result = CliRunner().invoke(app, ["data", *map(str, arguments), "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code
    return json.loads(result.stdout.splitlines()[-1])


def pack_arguments(cells: Path, out: Path) -> list[object]:
    return [
        "pack",
        "--images",
        cells / "images",
        "--masks",
        cells / "masks",
        "--out",
        out,
        "--val",
        0.2,
        "--test",
        0,
    ]


def test_data_pack_reports_rows_splits_and_manifest(app, cells, tmp_path):
    result = run(app, *pack_arguments(cells, tmp_path / "out"))
    assert result == {
        "rows": 10,
        "rejected": 0,
        "splits": {"train": 8, "val": 2, "test": 0},
        "manifest": f"{tmp_path}/out/manifest-00001.json",
    }
    assert Path(result["manifest"]).exists()


def test_data_pack_pairs_by_an_expression(app, cells, tmp_path):
    for kind, name in (("images", "scan"), ("masks", "drawn")):
        (tmp_path / kind).mkdir()
        for file in sorted((cells / kind).iterdir()):
            shutil.copy(file, tmp_path / kind / f"{name}-{file.stem}{'ab'[kind == 'masks']}{file.suffix}")
    with pytest.raises(InputError, match=r"no mask has this stem.*--pair"):
        run(app, *pack_arguments(tmp_path, tmp_path / "out"))
    assert run(app, *pack_arguments(tmp_path, tmp_path / "out"), "--pair", r"-(\d+)")["rows"] == 10


def test_data_verify_is_ok_until_a_byte_changes_then_exits_1(app, cells, tmp_path):
    run(app, *pack_arguments(cells, tmp_path / "out"))
    assert run(app, "verify", tmp_path / "out") == {"ok": True, "rows": 10, "problems": []}
    shard = next((tmp_path / "out" / "shards").iterdir())
    shard.write_bytes(shard.read_bytes()[:-1])
    result = run(app, "verify", tmp_path / "out", code=1)
    assert result["ok"] is False
    assert shard.name in result["problems"][0]


def test_data_stats_describes_the_manifest(app, cells, tmp_path):
    run(app, *pack_arguments(cells, tmp_path / "out"), "--size", 16)
    result = run(app, "stats", tmp_path / "out")
    assert result["task"] == "binary"
    assert result["sizes"] == {"16x16": 10}
    assert result["splits"]["train"]["rows"] == 8
    assert 0 < result["class_pixels"]["foreground"] < 8 * 16 * 16


def test_data_preview_writes_a_picture(app, cells, tmp_path):
    run(app, *pack_arguments(cells, tmp_path / "out"))
    result = run(app, "preview", tmp_path / "out", "--out", tmp_path / "p.png", "--count", 2)
    assert Image.open(result["file"]).width > 300


def test_data_pack_with_named_splits_takes_each_from_its_folder(app, cells, tmp_path):
    named = [f"--{kind}={split}={cells / kind}" for split in ("train", "val") for kind in ("images", "masks")]
    result = run(app, "pack", *named, "--out", tmp_path / "out")
    assert result["splits"] == {"train": 10, "val": 10, "test": 0}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--images", "train=a", "--masks", "b"], "give both for every split"),
        (["--images", "a", "--images", "b", "--masks", "b"], "given twice"),
        (["--images", "train=a", "--masks", "train=b", "--val", "0.1"], "leave them out"),
        (["--images", "nowhere", "--masks", "nowhere"], "does not exist"),
    ],
)
def test_data_pack_with_unclear_folders_gives_the_reason(app, tmp_path, arguments, reason):
    with pytest.raises(InputError, match=reason):
        run(app, "pack", *arguments, "--out", tmp_path / "out")


def test_data_pack_over_a_dataset_asks_for_overwrite(app, cells, tmp_path):
    run(app, *pack_arguments(cells, tmp_path / "out"))
    with pytest.raises(ExistsError, match="--overwrite"):
        run(app, *pack_arguments(cells, tmp_path / "out"))
    assert run(app, *pack_arguments(cells, tmp_path / "out"), "--overwrite")["manifest"].endswith(
        "00002.json"
    )


def test_data_repack_gives_a_dataset_that_verifies(app, cells, tmp_path):
    run(app, *pack_arguments(cells, tmp_path / "out"))
    result = run(app, "repack", tmp_path / "out", "--out", tmp_path / "again")
    assert result == {"rows": 10, "shards": {"train": 1, "val": 1}}
    assert run(app, "verify", tmp_path / "again")["ok"]
