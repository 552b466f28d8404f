import json
from pathlib import Path

import pytest
import yaml

from unetpp.cli.main import run
from unetpp.config import PRESETS, RunConfig, dump_yaml


def test_config_prints_yaml_that_it_reads_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "train.epochs=3"]) == 0
    printed = capsys.readouterr().out
    (tmp_path / "run.yaml").write_text(printed)
    assert run(["config", str(tmp_path / "run.yaml")]) == 0
    assert capsys.readouterr().out == printed
    assert yaml.safe_load(printed)["train"]["epochs"] == 3


@pytest.mark.parametrize("preset", PRESETS)
def test_config_preset_is_printed_with_overrides_applied(
    preset: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "--preset", preset]) == 0
    assert capsys.readouterr().out == dump_yaml(PRESETS[preset]())
    assert run(["config", "--preset", preset, "train.epochs=9", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["train"]["epochs"] == 9


def test_config_schema_describes_the_sections(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"].keys() == RunConfig.model_fields.keys()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train.epoch=3"], "did you mean train.epochs?"),
        (["absent.yaml"], "no config file at absent.yaml"),
        (["--preset", "huge"], "--preset must be one of baseline, paper, smoke"),
        (["--preset", "smoke", "run.yaml"], "exclude each other"),
    ],
)
def test_config_mistake_exits_with_two_and_says_what(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", *arguments]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
