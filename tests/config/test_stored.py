"""Configurations of runs that another version wrote."""

import pytest
import yaml
from PIL import Image

from unetpp.cli.main import run as unetpp
from unetpp.config import RunConfig
from unetpp.config.stored import stored_config
from unetpp.core.errors import InputError
from untrained_run import write_untrained_run


def test_stored_config_reads_what_was_written_and_fills_what_an_older_version_lacked():
    config = RunConfig.model_validate({"scale": {"labels": {"zone": "a"}}, "out": "runs/x"})
    values = config.model_dump(mode="json")
    assert stored_config(values, "runs/x") == config
    del values["tune"], values["model"]["attention"]
    assert stored_config(values, "runs/x") == config


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": {"later": 1}}, r"runs/x was written by another version.*model\.later"),
        ({"quantum": {"qubits": 3}}, r"quantum\.qubits"),
        ({"train": {"epochs": -1}}, r"damaged: train\.epochs=-1 must be at least 1"),
        ("text", "damaged"),
    ],
)
def test_stored_config_of_another_version_or_damaged_is_refused_by_its_place(change, said):
    values = RunConfig().model_dump(mode="json")
    if isinstance(change, dict):
        for section, fields in change.items():
            values[section] = {**values.get(section, {}), **fields}
        change = values
    with pytest.raises(InputError, match=said):
        stored_config(change, "runs/x")


@pytest.mark.parametrize("verb", ["predict", "evaluate", "export", "report", "train"])
def test_every_verb_on_a_run_of_a_later_version_says_so(tmp_path, capsys, verb):
    run = write_untrained_run(tmp_path)
    path = tmp_path / "run" / "config.yaml"
    values = yaml.safe_load(path.read_text())
    values["model"]["later"] = 1
    path.write_text(yaml.safe_dump(values))
    Image.new("RGB", (24, 24)).save(tmp_path / "photo.png")
    arguments = {
        "predict": [run, str(tmp_path / "photo.png"), "--out", str(tmp_path / "out")],
        "export": [run, "--out", str(tmp_path / "m.safetensors")],
        "train": ["--resume", f"out={run}"],
    }
    assert unetpp([verb, *arguments.get(verb, [run])]) == 2
    assert "another version of unetpp: this one does not know model.later" in capsys.readouterr().err.replace(
        "\n", " "
    )
