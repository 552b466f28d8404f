import json

import pytest

from unetpp.core.errors import InputError
from unetpp.data.pack.classes import default_colours, load_classes


def write(tmp_path, name: str, text: str):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_load_classes_from_txt_reads_names_and_colours(tmp_path):
    spec = load_classes(write(tmp_path, "c.txt", "sky 128 128 128\n\ntraffic light #ff0000\nroad\n"))
    assert [(entry.name, entry.colour) for entry in spec.classes] == [
        ("sky", (128, 128, 128)),
        ("traffic light", (255, 0, 0)),
        ("road", None),
    ]
    assert spec.resolved_task == "multiclass"


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_load_classes_from_json_and_yaml_reads_every_key(tmp_path, suffix):
    value = {
        "task": "multilabel",
        "classes": ["a", {"name": "b", "colour": "#010203"}],
        "ignore_index": 255,
        "image_labels": ["benign", "malignant"],
    }
    spec = load_classes(write(tmp_path, f"c.{suffix}", json.dumps(value)))
    assert spec.classes[1].colour == (1, 2, 3)
    assert spec.task == "multilabel"
    assert spec.ignore_index == 255
    assert spec.image_labels == ("benign", "malignant")


def test_load_classes_of_one_name_is_binary(tmp_path):
    assert load_classes(write(tmp_path, "c.yaml", "[nucleus]")).resolved_task == "binary"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("c.csv", "a,b", "suffix"),
        ("c.json", "{", "c.json"),
        ("c.yaml", "a: [", "c.yaml"),
        ("c.yaml", "klasses: [a]", "klasses"),
        ("c.yaml", "[a, a]", "distinct"),
        ("c.yaml", "[]", "distinct"),
        ("c.yaml", "{task: binary, classes: [background, cell]}", "foreground only"),
        ("c.yaml", "{task: multilabel, classes: [a, b, c, d, e, f, g, h]}", "at most 7"),
        ("c.yaml", "{classes: [a, b], ignore_index: 300}", "0 to 255"),
        ("c.yaml", "[{name: a, colour: [0, 0, 256]}, b]", "0 to 255"),
        ("c.yaml", "[{name: a, colour: '#12'}, b]", "#rrggbb"),
        ("c.yaml", "!!python/object/apply:os.getcwd []", "c.yaml"),
    ],
)
def test_load_classes_of_a_bad_file_gives_the_reason(tmp_path, name, text, reason):
    with pytest.raises(InputError, match=reason):
        load_classes(write(tmp_path, name, text))


def test_load_classes_missing_names_the_file(tmp_path):
    with pytest.raises(InputError, match=r"nowhere.yaml"):
        load_classes(tmp_path / "nowhere.yaml")


def test_default_colours_are_distinct():
    assert len(set(default_colours(60))) == 60
