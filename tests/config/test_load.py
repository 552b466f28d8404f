from pathlib import Path

import pytest
import yaml

from unetpp.config import (
    PRESETS,
    RunConfig,
    config_hash,
    dump_yaml,
    flatten,
    given_fields,
    json_schema,
    load_config,
    replace,
)
from unetpp.config.fields import dotted_fields
from unetpp.core.errors import ConfigError


def test_load_config_without_input_gives_the_defaults() -> None:
    assert load_config(None, []) == RunConfig()


def test_load_config_overrides_win_over_the_file_and_later_ones_over_earlier(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("train:\n  epochs: 3\n  seed: 7\noptim:\n  lr: 1e-2\ndata:\n")
    config = load_config(file, ["train.epochs=4", "train.epochs=5"])
    assert (config.train.epochs, config.train.seed, config.optim.lr) == (5, 7, 0.01)


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("scale.workers=(1, 4)", "scale.workers", [1, 4]),
        ("scale.workers=[1,4]", "scale.workers", [1, 4]),
        ("scale.workers=2", "scale.workers", 2),
        ("optim.lr=1e-3", "optim.lr", 0.001),
        ("model.attention=true", "model.attention", True),
        ("model.depth=auto", "model.depth", "auto"),
        ("model.widths=null", "model.widths", None),
        ("model.dilation=[1,1,2]", "model.dilation", [1, 1, 2]),
        ("out=s3://bucket/a=b", "out", "s3://bucket/a=b"),
        ("name=007", "name", "007"),
        ("name=no", "name", "no"),
    ],
)
def test_load_config_override_is_parsed_by_the_field_it_sets(override: str, key: str, value: object) -> None:
    assert flatten(load_config(None, [override]))[key] == value


@pytest.mark.parametrize(
    ("override", "nearest"),
    [
        ("model.dept=3", "model.depth"),
        ("lr=1", "optim.lr"),
        ("train.lr=1", "optim.lr"),
        ("epoch=3", "train.epochs"),
        ("data.batchsize=2", "data.batch_size"),
        ("Model.width=2", "model.width"),
    ],
)
def test_load_config_unknown_key_names_the_nearest(override: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=rf"unknown key '.*'; did you mean {nearest}\?"):
        load_config(None, [override])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["train.epochs"], "must read section.field=value"),
        (["=3"], "must read section.field=value"),
        (["train=3"], "train is a section"),
        (["data.crop=["], "must be valid YAML"),
        (["train.epochs=0"], "train.epochs=0 must be at least 1; use 1"),
        (["model.dense=foo"], "model.dense=foo must be one of unet, plus, pp"),
        (["model.depth=x"], "model.depth=x must be an integer or auto"),
        (["optim.lr=fast"], "optim.lr=fast must be a number"),
        (["optim.lr=0"], "optim.lr=0 must be above 0"),
        (["model.dropout=1"], "model.dropout=1 must be below 1"),
        (["scale.gpu=perhaps"], "scale.gpu=perhaps must be true or false or auto"),
        (["augment.scale=[1]"], "augment.scale=.* must be a list of two entries"),
    ],
)
def test_load_config_wrong_value_states_key_value_and_rule(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(None, overrides)


def test_load_config_several_wrong_values_reports_each_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, ["train.epochs=0", "model.depth=x", "optim.lr=fast"])
    assert sorted(line.split("=")[0] for line in str(caught.value).splitlines()) == [
        "model.depth",
        "optim.lr",
        "train.epochs",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train: [", r"must be valid YAML \(line 1\)"),
        ("- a\n- b\n", "must hold sections"),
        ("train:\n  epoch: 3\n", "did you mean train.epochs"),
        ("train: 3\n", "train is a section"),
        ("!!python/object/apply:os.system ['true']\n", "must be valid YAML"),
    ],
)
def test_load_config_malformed_file_is_a_config_error(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_config(file, [])


def test_load_config_missing_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no config file at"):
        load_config(tmp_path / "absent.yaml", [])


@pytest.mark.parametrize("preset", PRESETS)
def test_dump_yaml_every_preset_reads_back_equal(tmp_path: Path, preset: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(dump_yaml(PRESETS[preset]()))
    assert load_config(file, []) == PRESETS[preset]()


def test_replace_changes_only_the_named_field_and_validates() -> None:
    before = RunConfig()
    after = replace(before, {"model.depth": 3})
    assert {k for k, v in flatten(after).items() if flatten(before)[k] != v} == {"model.depth"}
    with pytest.raises(ConfigError, match=r"model\.depth=9 must be at most 6; use 6"):
        replace(before, {"model.depth": 9})
    with pytest.raises(ConfigError, match="did you mean"):
        replace(before, {"model.dept": 3})


def test_config_hash_depends_on_what_is_computed_and_not_on_where() -> None:
    base = RunConfig()
    assert config_hash(replace(base, {"out": "s3://b/x", "name": "n"})) == config_hash(base)
    assert config_hash(replace(base, {"tune.trials": 99})) == config_hash(base)
    assert config_hash(replace(base, {"data.cache_bytes": 0, "data.cache_dir": "/x"})) == config_hash(base)
    assert config_hash(replace(base, {"train.seed": 1})) != config_hash(base)


def test_json_schema_lists_every_field_with_a_description_where_documented() -> None:
    schema = json_schema()
    names = {name for section in schema["$defs"].values() for name in section["properties"]}
    assert {key.rpartition(".")[2] for key in dotted_fields() if "." in key} == names
    assert "pixels" in schema["$defs"]["DataConfig"]["properties"]["crop"]["description"]
    assert yaml.safe_load(dump_yaml(RunConfig())).keys() == schema["properties"].keys()


def test_replace_leaves_open_what_nobody_gave() -> None:
    config = replace(load_config(None, ["model.width=32", "train.minutes=1"]), {"out": "runs/other"})
    assert given_fields(config) == {"model.width": 32, "train.minutes": 1.0, "out": "runs/other"}
