"""Exported files reproduce the run's head, whatever engine runs them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unetpp.core.errors import ConfigError, ExistsError, InputError
from unetpp.inference.batch import PredictOptions, predict_paths
from unetpp.inference.engines.network import network_of_engine
from unetpp.inference.engines.registry import load_engine
from unetpp.inference.engines.weights import load_exported
from unetpp.inference.export import export_run
from unetpp.models.load import load_run


@pytest.mark.parametrize("level", [None, 1])
def test_export_safetensors_reproduces_head_exactly(make_run, tmp_path, level):
    run, out = make_run("multiclass"), tmp_path / "m.safetensors"
    result = export_run(run, out, level=level)
    assert result == {
        "file": str(out),
        "level": level or 2,
        "max_abs_diff": 0.0,
        "differing": 0.0,
        "checked_px": [[24, 24], [14, 13], [4, 5]],
        "bytes": out.stat().st_size,
    }
    images = torch.rand(1, 3, 19, 26) * 255
    full = load_run(run)
    expected = full.model(full.normalise(images)).levels[(level or 2) - 1]
    assert torch.equal(load_exported(out)(images), expected)


def test_export_shallower_level_is_a_smaller_file(make_run, tmp_path):
    run = make_run()
    sizes = [export_run(run, tmp_path / f"{k}.safetensors", level=k)["bytes"] for k in (1, 2)]
    assert sizes[0] < sizes[1]


def test_export_without_its_dataset_is_checked_on_noise(make_run, tmp_path):
    run = make_run()
    (tmp_path / "run-data").rename(tmp_path / "gone")
    assert export_run(run, tmp_path / "m.safetensors")["checked_px"] == [[75, 50], [48, 31], [21, 12]]


@pytest.mark.slow
def test_export_program_runs_other_sizes_than_it_was_traced_with(make_run, tmp_path):
    out = tmp_path / "m.pt2"
    assert export_run(make_run(), out, level=2)["max_abs_diff"] < 1e-4
    program = torch.export.load(out).module()
    assert program(torch.zeros(3, 3, 41, 70)).shape == (3, 1, 41, 70)
    assert load_engine(out).description.level == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "task", ["binary", "multiclass", pytest.param("multilabel", marks=pytest.mark.nightly)]
)
def test_onnx_file_predicts_what_its_run_does_and_says_what_it_is(make_run, folder, tmp_path, task):
    run, out = make_run(task), tmp_path / "m.onnx"
    found = export_run(run, out, licence="CC0-1.0")
    assert found["max_abs_diff"] < 1e-3
    description = load_engine(out).description
    assert (description.level, description.licence, description.precision) == (2, "CC0-1.0", "float32")
    assert description.manifest.fingerprint == "f" * 64
    for source, place in ((run, "by-run"), (str(out), "by-file")):
        result = predict_paths(source, str(folder), str(tmp_path / place), PredictOptions(overlay=True))
        assert result["level"] == 2
    written = sorted(path.relative_to(tmp_path / "by-run") for path in (tmp_path / "by-run").rglob("*.png"))
    assert len(written) == 6
    for name in written:
        one, other = (np.asarray(Image.open(tmp_path / place / name)) for place in ("by-run", "by-file"))
        assert (one != other).mean() < 0.01  # where rounding decides
    # The guide's program, which has neither this package nor torch.
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "export.md").read_text()
    (program,) = re.findall(r"```python\n(import json.*?)```", guide, re.DOTALL)
    assert len(program.splitlines()) <= 20
    command = [sys.executable, "-c", program, str(out), str(folder / "a.png"), str(tmp_path / "by-hand.png")]
    subprocess.run(command, check=True, capture_output=True)
    by_hand, by_file = (np.asarray(Image.open(tmp_path / name)) for name in ("by-hand.png", "by-file/a.png"))
    assert (by_hand != by_file).mean() < 0.01


@pytest.mark.slow
def test_openvino_and_int8_files_are_close_to_their_run(make_run, tmp_path):
    run = make_run()
    assert export_run(run, tmp_path / "m.xml", level=1)["max_abs_diff"] < 1e-3
    quantised = export_run(run, tmp_path / "q.xml", level=1, precision="int8")
    assert quantised["differing"] < 0.1
    assert load_engine(tmp_path / "q.xml").description.precision == "int8"
    (tmp_path / "q.bin").unlink()
    with pytest.raises(InputError, match=r"\.bin is missing"):
        load_engine(tmp_path / "q.xml")


def test_export_existing_file_needs_overwrite(make_run, tmp_path):
    out = tmp_path / "m.safetensors"
    out.write_bytes(b"mine")
    with pytest.raises(ExistsError, match="--overwrite"):
        export_run(make_run(), out)
    assert out.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("m.tflite", {}, r"ends in '.tflite'; use one of .safetensors, .pt2, .onnx, .xml"),
        ("m.pt2", {"level": 5}, "level=5 has no head"),
        ("m.pt2", {"precision": "int8"}, r"int8 needs a file of .onnx or .xml"),
    ],
)
def test_export_of_what_is_not_possible_writes_nothing(make_run, tmp_path, name, options, message):
    with pytest.raises(ConfigError, match=message):
        export_run(make_run(), tmp_path / name, **options)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("suffix", "library", "extra"), [(".onnx", "onnxruntime", "onnx"), (".xml", "openvino", "openvino")]
)
def test_engine_that_is_not_installed_names_its_extra(
    make_run, tmp_path, monkeypatch, suffix, library, extra
):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"unetpp.inference.engines.{extra}", raising=False)
    with pytest.raises(ConfigError, match=rf"need {library}: pip install 'unetpp\[{extra}\]'"):
        export_run(make_run(), tmp_path / f"m{suffix}")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt2", ".onnx", ".xml"])
def test_damaged_or_missing_export_is_an_input_error(tmp_path, folder, suffix):
    path = tmp_path / f"m{suffix}"
    with pytest.raises(InputError, match="there is no file"):
        predict_paths(str(path), str(folder), str(tmp_path / "out"))
    path.write_bytes(b"no network")
    with pytest.raises(InputError, match=str(path)):
        predict_paths(str(path), str(folder), str(tmp_path / "out"))


def test_predict_from_a_file_refuses_what_it_does_not_hold(make_run, folder, tmp_path):
    out = tmp_path / "m.safetensors"
    export_run(make_run(), out, level=1)
    with pytest.raises(ConfigError, match="holds level 1"):
        predict_paths(str(out), str(folder), str(tmp_path / "out"), PredictOptions(level=2))
    with pytest.raises(ConfigError, match="holds one network"):
        predict_paths(str(out), str(folder), str(tmp_path / "out"), PredictOptions(dilation=(1, 1)))


def test_file_of_an_earlier_release_is_to_be_exported_again(make_run, folder, tmp_path):
    import safetensors
    import safetensors.torch

    out = tmp_path / "m.safetensors"
    export_run(make_run(), out)
    with safetensors.safe_open(out, framework="pt") as file:
        text = json.loads(file.metadata()["unetpp"])
    del text["manifest"], text["window_px"]
    safetensors.torch.save_file(safetensors.torch.load_file(out), out, {"unetpp": json.dumps(text)})
    load_exported(out)
    with pytest.raises(InputError, match="export it again"):
        predict_paths(str(out), str(folder), str(tmp_path / "out"))


class ElsewhereEngine:
    """Computes on the CPU, wherever its images are."""

    def __init__(self, description):
        self.description = description

    def logits(self, images):
        return torch.zeros(len(images), 1, *images.shape[2:])


def test_logits_of_a_file_lie_where_its_images_do(make_run, tmp_path):
    file = tmp_path / "m.safetensors"
    export_run(make_run(), file)
    network = network_of_engine(ElsewhereEngine(load_engine(file).description))
    # A device that every machine has beside its CPU.
    images = torch.zeros(1, 3, 8, 8, device="meta")
    assert network.model(images).levels[-1].device == images.device
