"""The plan of a run that goes by minutes: what it decides, and that it fits wherever it is made."""

from collections.abc import Callable
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from machines import GIB, machine
from random_examples import examples
from unetpp.config import Hardware, load_config, replace
from unetpp.config.planning.feasibility import check
from unetpp.config.planning.outlook import outlook
from unetpp.config.planning.placement import candidates
from unetpp.config.planning.shares import worker_memory_bytes
from unetpp.config.planning.timed.facts import MaskFacts, PlanFacts
from unetpp.config.planning.timed.plan import open_fields_decided, planned
from unetpp.config.planning.timed.rules import log_frequency_weights
from unetpp.core.manifest import ClassInfo, Manifest

Make = Callable[..., Manifest]
STREETS = MaskFacts(masks=48, vertical_asymmetry=0.86, horizontal_asymmetry=0.12, thickness_px=52.0)
NUCLEI = MaskFacts(masks=47, vertical_asymmetry=0.05, horizontal_asymmetry=0.03, thickness_px=12.0)
CRACKS = MaskFacts(masks=48, vertical_asymmetry=0.1, horizontal_asymmetry=0.1, thickness_px=2.5)
MINUTES = ["train.minutes=10"]


def of_classes(manifest: Manifest, pixels: tuple[int, ...]) -> Manifest:
    classes = tuple(ClassInfo(name=f"class {index}", colour=(0, 0, 0)) for index in range(len(pixels)))
    return manifest.model_copy(update={"task": "multiclass", "classes": classes, "class_pixels": pixels})


def decided(manifest: Manifest, hardware: Hardware, facts: PlanFacts, *overrides: str) -> dict[str, object]:
    _, decisions = planned(load_config(None, [*MINUTES, *overrides]), manifest, hardware, facts)
    assert all(decision.reason for decision in decisions)
    return {decision.field: decision.value for decision in decisions}


def test_plan_without_minutes_decides_only_what_is_auto(make_manifest: Make, laptop: Hardware) -> None:
    facts = PlanFacts(STREETS, ("lite0",))
    config, decisions = planned(load_config(None, []), make_manifest(), laptop, facts)
    assert config.model.encoder == "none"
    assert not {"model.encoder", "augment.flip_vertical", "optim.lr"} & {d.field for d in decisions}


def test_plan_of_streets_keeps_them_upright_and_weighs_rare_classes(
    make_manifest: Make, laptop: Hardware
) -> None:
    manifest = of_classes(make_manifest(), (1000, 500, 5))
    values = decided(manifest, laptop, PlanFacts(STREETS, ("lite0",)))
    assert values["augment.flip_vertical"] == 0.0
    assert values["augment.rotate_deg"] == 10.0
    assert values["loss.dice_classes"] == "present"
    assert values["loss.class_weights"] == log_frequency_weights((1000, 500, 5))
    assert values["model.encoder"] == "lite0"


def test_plan_of_nuclei_flips_them_either_way(make_manifest: Make, laptop: Hardware) -> None:
    values = decided(make_manifest(), laptop, PlanFacts(NUCLEI))
    assert not {"augment.flip_vertical", "augment.rotate_deg", "loss.class_weights"} & values.keys()
    assert values["model.encoder"] == "none"


@pytest.mark.parametrize(("facts", "stride"), [(CRACKS, 1), (NUCLEI, 2), (STREETS, 4)])
def test_plan_starts_at_full_resolution_where_objects_are_thin(
    make_manifest: Make, laptop: Hardware, facts: MaskFacts, stride: int
) -> None:
    assert decided(make_manifest(), laptop, PlanFacts(facts))["model.stem_stride"] == stride


@pytest.mark.parametrize(("facts", "crop_px"), [(CRACKS, 128), (NUCLEI, 256), (STREETS, 256), (None, 256)])
def test_plan_cuts_small_crops_where_it_starts_at_full_resolution(
    make_manifest: Make, laptop: Hardware, facts: MaskFacts | None, crop_px: int
) -> None:
    manifest = make_manifest(sizes={"400x300": 20})
    assert decided(manifest, laptop, PlanFacts(facts))["data.crop"] == crop_px


def test_plan_of_thin_objects_takes_small_images_whole(make_manifest: Make, laptop: Hardware) -> None:
    values = decided(make_manifest(sizes={"96x96": 20}), laptop, PlanFacts(CRACKS))
    assert values["data.crop"] == 96


@pytest.mark.parametrize(
    ("rows", "batch", "norm"), [(7, 1, "group"), (8, 4, "batch"), (31, 4, "batch"), (40, 5, "batch")]
)
def test_plan_gives_batch_norm_several_images_of_a_small_set(
    make_manifest: Make, laptop: Hardware, rows: int, batch: int, norm: str
) -> None:
    config, _ = planned(
        load_config(None, MINUTES), make_manifest({"96x96": rows}, rows=rows), laptop, PlanFacts(NUCLEI)
    )
    assert (config.data.batch_size, config.model.norm) == (batch, norm)


def test_plan_leaves_what_was_given(make_manifest: Make, laptop: Hardware) -> None:
    given_values = ["model.width=32", "optim.lr=0.001", "augment.flip_vertical=0.5", "model.encoder=none"]
    values = decided(make_manifest(), laptop, PlanFacts(STREETS, ("lite0",)), *given_values)
    assert not {text.partition("=")[0] for text in given_values} & values.keys()


@pytest.mark.parametrize(
    ("override", "field"),
    [
        ("model.depth=6", "model.encoder"),
        ("model.depth=5", "model.stem_stride"),
        ("model.pool=[[2,1],[2,2]]", "model.encoder"),
        ("train.memory=recompute", "model.norm"),
        ("model.shared_dilations=[[1,1,1],[1,1,2]]", "model.norm"),
    ],
)
def test_plan_keeps_from_what_contradicts_what_was_given(
    make_manifest: Make, laptop: Hardware, override: str, field: str
) -> None:
    overrides = [*MINUTES, override, *(["model.depth=2"] if "[" in override else [])]
    config = load_config(None, overrides)
    opened, decisions = open_fields_decided(config, make_manifest(), PlanFacts(NUCLEI, ("lite0",)))
    (kept,) = (decision for decision in decisions if decision.field == field)
    assert "does not fit what was given" in kept.reason
    section, name = field.split(".")
    default = getattr(getattr(config, section), name)
    assert (getattr(getattr(opened, section), name), kept.value) == (default, default)


def test_plan_of_a_sweep_is_given_to_its_trials(make_manifest: Make) -> None:
    config, first = open_fields_decided(load_config(None, MINUTES), make_manifest(), PlanFacts(NUCLEI))
    again, second = open_fields_decided(config, make_manifest(), PlanFacts(STREETS, ("lite0",)))
    assert first
    assert [decision for decision in second if decision.field == "model.width"] == []
    assert again.model.width == config.model.width


@pytest.mark.parametrize("verb", ["train", "tune"])
def test_plan_is_shown_of_a_configuration_whose_places_were_set(
    make_manifest: Make, laptop: Hardware, verb: Literal["train", "tune"]
) -> None:
    config = replace(load_config(None, MINUTES), {"scale.workers": 1})
    found = outlook(config, make_manifest(), laptop, verb, PlanFacts(STREETS, ("lite0",)))
    assert found.config.model.encoder == "lite0"
    assert "model.encoder" in {decision.field for decision in found.decisions}


def test_plan_made_smaller_says_why(make_manifest: Make) -> None:
    hardware, manifest = machine(2, GIB // 10), make_manifest({"512x512": 200})
    config, decisions = planned(load_config(None, MINUTES), manifest, hardware, PlanFacts(NUCLEI, ("lite0",)))
    memory = worker_memory_bytes(config, candidates(config.scale, hardware), 1)
    assert check(config, memory) is None
    smaller = [decision for decision in decisions if decision.reason.startswith("made smaller")]
    assert smaller
    assert "GiB free" in smaller[0].reason


@pytest.mark.slow
@settings(
    max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_plan_fits_and_is_a_pure_function(make_manifest: Make, data: st.DataObject) -> None:
    draw = data.draw
    sides = st.integers(16, 3000)
    shapes = [f"{draw(sides)}x{draw(sides)}" for _ in range(draw(st.integers(1, 4)))]
    sizes = {shape: draw(st.integers(1, 500)) for shape in shapes}
    manifest = make_manifest(sizes, rows=draw(st.integers(8, 10_000)), channels=draw(st.integers(1, 6)))
    if draw(st.booleans()):
        pixels = draw(st.lists(st.integers(0, 10**9), min_size=2, max_size=20))
        manifest = of_classes(manifest, tuple(pixels))
    thickness = draw(st.floats(0, 100))
    masks = MaskFacts(48, draw(st.floats(0, 1)), draw(st.floats(0, 1)), thickness)
    facts = PlanFacts(draw(st.sampled_from([None, masks])), draw(st.sampled_from([(), ("lite0",)])))
    gpus = draw(st.integers(0, 4))
    hardware = machine(
        draw(st.integers(1, 64)), draw(st.integers(1, 256)) * GIB // 4, gpus, draw(st.integers(4, 80)) * GIB
    )
    workers = draw(st.integers(1, max(gpus, 1)))
    config = load_config(None, [*MINUTES, f"scale.workers={workers}"])
    result, decisions = planned(config, manifest, hardware, facts)
    assert planned(config, manifest, hardware, facts) == (result, decisions)
    memory = worker_memory_bytes(result, candidates(result.scale, hardware), 1)
    assert check(result, memory) is None
