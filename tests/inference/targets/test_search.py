"""An export that is chosen by measuring is within what was allowed, and says what it was chosen from."""

import re

import pytest
import torch

import unetpp
from unetpp.api.exporting import export_for, export_one
from unetpp.core.errors import ConfigError, ExistsError, InputError
from unetpp.inference.engines.registry import load_engine
from unetpp.inference.predictor import Predictor
from unetpp.inference.targets import search as search_module
from unetpp.inference.targets.candidates import Candidate, candidates_for
from unetpp.inference.targets.search import Measured, choose


def measured(path, drop, seconds):
    candidate = Candidate(2, ".onnx", "int8", "float32")
    return Measured(candidate, path, dice=0.9 - drop, iou=0.8, drop=drop, seconds=seconds, bytes=1)


def test_fastest_within_the_drop_is_chosen(tmp_path):
    found = [measured(tmp_path, 0.0, 1.0), measured(tmp_path, 0.01, 0.5), measured(tmp_path, 0.02, 0.1)]
    assert choose(found, 0.01).seconds == 0.5
    assert choose(found, 0.5).seconds == 0.1
    with pytest.raises(InputError, match=r"--max-drop 0\.01"):
        choose(found[2:], 0.01)


@pytest.mark.slow
def test_target_chooses_within_pytorch_and_writes_card_and_picture(make_run, tmp_path, monkeypatch):
    monkeypatch.setattr(search_module, "_SCORED", 3)
    run = make_run()
    found = export_for(run, tmp_path / "m.safetensors", "cpu", max_drop=0.9)
    rows = found["table"]
    assert {row["engine"] for row in rows} == {"PyTorch"}
    assert {row["level"] for row in rows} == {1, 2}
    assert (rows[0]["level"], rows[0]["precision"], rows[0]["drop"]) == (2, "fp32", 0)
    assert found["chosen"] in rows
    assert found["chosen"]["images_per_s"] == max(row["images_per_s"] for row in rows)
    assert found["speed_up"] == pytest.approx(found["chosen"]["images_per_s"] / rows[0]["images_per_s"])
    description = load_engine(tmp_path / "m.safetensors").description
    assert description.level == found["chosen"]["level"]
    assert description.compute == {"fp32": "float32", "bf16": "bfloat16"}[found["chosen"]["precision"]]
    picture = (tmp_path / "m.safetensors.svg").read_text()
    assert picture.startswith("<svg xmlns=")
    card = (tmp_path / "m.safetensors.md").read_text()
    assert f"within 0.9 of the Dice: PyTorch {found['chosen']['precision']}" in card
    with pytest.raises(ExistsError, match="--overwrite"):
        export_for(run, tmp_path / "m.safetensors", "cpu", max_drop=0.9)


@pytest.mark.slow
def test_target_without_an_ending_measures_every_engine(make_run, tmp_path, monkeypatch):
    monkeypatch.setattr(search_module, "_SCORED", 2)
    found = export_for(make_run(depth=1), tmp_path / "m", "cpu", max_drop=0.5)
    kinds = {(row["engine"], row["precision"].partition(",")[0]) for row in found["table"]}
    assert kinds == {
        *(("PyTorch", precision) for precision in ("fp32", "bf16")),
        *(("ONNX Runtime", precision) for precision in ("fp32", "int8")),
        *(("OpenVINO", precision) for precision in ("fp32", "bf16", "int8")),
    }
    assert Predictor.of(found["file"]).level == found["level"]


def test_int8_that_loses_too_much_keeps_more_in_float():
    first, second = search_module._attempts(Candidate(2, ".onnx", "int8", "float32"))
    assert (first.float_ends, second.float_ends) == (1, 4)
    assert second.numbers == "int8, 4 float at either end"
    assert len(list(search_module._attempts(Candidate(2, ".onnx", "float32", "float32")))) == 1


@pytest.mark.parametrize(
    ("options", "name", "said"),
    [
        ({"max_drop": -0.1}, "m", r"--max-drop -0\.1"),
        ({"max_drop": 0.01}, "m.pt2", r"chooses among \.safetensors, \.onnx, \.xml; --out ends in \.pt2"),
    ],
)
def test_target_that_cannot_be_is_refused(make_run, tmp_path, options, name, said):
    with pytest.raises(ConfigError, match=said):
        export_for(make_run(), tmp_path / name, "cpu", **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_gpu_target_needs_a_gpu(make_run, tmp_path):
    with pytest.raises(ConfigError, match="use --target cpu"):
        export_for(make_run(), tmp_path / "m", "gpu", max_drop=0.1)


def test_target_needs_validation_images(make_run, tmp_path):
    run = make_run()
    (tmp_path / "run-data").rename(tmp_path / "gone")
    with pytest.raises(InputError, match="--target needs the images of the dataset"):
        export_for(run, tmp_path / "m.safetensors", "cpu", max_drop=0.1)


@pytest.mark.parametrize(
    "options", [{"max_drop": 0.1}, {"target": "cpu", "level": 1}, {"target": "cpu", "precision": "int8"}]
)
def test_function_refuses_what_the_target_decides_and_a_drop_without_one(tmp_path, options):
    with pytest.raises(ConfigError, match="target"):
        unetpp.export(tmp_path / "run", tmp_path / "m.safetensors", **options)


def test_engine_that_is_missing_is_left_out_unless_it_is_named(monkeypatch):
    import sys

    for name in ("openvino", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
        for module in ("openvino", "onnx"):
            monkeypatch.delitem(sys.modules, f"unetpp.inference.engines.{module}", raising=False)
    assert {entry.suffix for entry in candidates_for("cpu", 1)} == {".safetensors"}
    with pytest.raises(ConfigError, match=r"pip install 'unetpp\[openvino\]'"):
        candidates_for("cpu", 1, ".xml")


def test_card_says_what_the_file_is_of(make_run, tmp_path):
    result = export_one(make_run("multiclass"), tmp_path / "m.safetensors", level=1, licence="CC0-1.0")
    card = (tmp_path / "m.safetensors.md").read_text()
    assert result["card"] == str(tmp_path / "m.safetensors.md")
    assert re.findall(r"^#+ (.*)$", card, re.MULTILINE) == [
        "m.safetensors", "Data", "Classes", "How good it is", "How it was exported", "Limits",
        "What its training cost",
    ]  # fmt: skip
    said = (
        "level 1",
        "CC0-1.0",
        "`" + "f" * 64 + "`",
        "| 2 | car |",
        "train 4, val 4",
        "3 channel(s) of uint8",
    )
    assert [entry for entry in said if entry not in card] == []
