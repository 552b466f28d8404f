"""Exported files reproduce the run's head."""

import pytest
import torch

from unetpp.core.errors import ConfigError, ExistsError, InputError
from unetpp.inference.export import export_run, load_exported
from unetpp.models.load import load_run


@pytest.mark.parametrize("level", [None, 1])
def test_export_safetensors_reproduces_head_exactly(make_run, tmp_path, level):
    run, out = make_run("multiclass"), tmp_path / "m.safetensors"
    result = export_run(run, out, level=level)
    assert result == {"file": str(out), "level": level or 2, "max_abs_diff": 0.0, "bytes": out.stat().st_size}
    images = torch.rand(1, 3, 19, 26) * 255
    full = load_run(run)
    expected = full.model(full.normalise(images)).levels[(level or 2) - 1]
    assert torch.equal(load_exported(out)(images), expected)


def test_export_shallower_level_is_a_smaller_file(make_run, tmp_path):
    run = make_run()
    sizes = [export_run(run, tmp_path / f"{k}.safetensors", level=k)["bytes"] for k in (1, 2)]
    assert sizes[0] < sizes[1]


@pytest.mark.slow
def test_export_program_runs_other_sizes_than_it_was_traced_with(make_run, tmp_path):
    out = tmp_path / "m.pt2"
    assert export_run(make_run(), out, level=2)["max_abs_diff"] < 1e-4
    program = torch.export.load(out).module()
    assert program(torch.zeros(3, 3, 41, 70)).shape == (3, 1, 41, 70)


def test_export_existing_file_needs_overwrite(make_run, tmp_path):
    out = tmp_path / "m.safetensors"
    out.write_bytes(b"mine")
    with pytest.raises(ExistsError, match="--overwrite"):
        export_run(make_run(), out)
    assert out.read_bytes() == b"mine"


@pytest.mark.parametrize("options", [{"name": "m.onnx"}, {"name": "m.pt2", "level": 5}])
def test_export_unknown_suffix_or_level_is_config_error_and_writes_nothing(make_run, tmp_path, options):
    with pytest.raises(ConfigError):
        export_run(make_run(), tmp_path / options["name"], level=options.get("level"))
    assert not (tmp_path / options["name"]).exists()


def test_load_exported_other_file_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"no weights")
    with pytest.raises(InputError, match="no exported model"):
        load_exported(path)
