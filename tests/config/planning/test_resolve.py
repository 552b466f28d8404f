from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from machines import GIB, machine
from unetpp.config import AUTO, Hardware, Node, RunConfig, flatten, load_config, resolve
from unetpp.core.cpu_speed import CpuSpeed
from unetpp.core.errors import ConfigError
from unetpp.core.manifest import ClassInfo, Manifest, ShardInfo, SplitInfo

Make = Callable[..., Manifest]


def plan(manifest: Manifest, hardware: Hardware, *overrides: str) -> RunConfig:
    return resolve(load_config(None, overrides), manifest, hardware)[0]


def test_resolve_defaults_on_a_laptop_decides_every_auto_with_a_reason(
    make_manifest: Make, laptop: Hardware
) -> None:
    config, decisions = resolve(load_config(None, ["scale.workers=2"]), make_manifest(), laptop)
    undecided = {key for key, value in flatten(config).items() if value == AUTO}
    assert undecided == {"tune.max_concurrent"}  # known only when a cluster is
    assert all(decision.reason for decision in decisions)
    decided = {decision.field: decision.value for decision in decisions}
    assert decided == {
        "model.spatial_dims": 2,
        "model.in_channels": 3,
        "model.num_classes": 1,
        "model.image_classes": 0,
        "scale.gpu": False,
        "scale.gpus_per_worker": 1.0,
        "train.precision": "fp32",
        "model.depth": 4,
        "data.crop": 128,
        "data.foreground": 0.0,
        "train.validate_every": 1,
        "train.memory": "keep",
        "data.batch_size": 16,
        "data.cache_bytes": 0,  # the free disk is not known
        "train.sync_bn": False,
        "scale.cpus_per_worker": 0.5,
    }


def test_resolve_given_values_stay_as_they_are(make_manifest: Make, laptop: Hardware) -> None:
    config = load_config(None, ["model.depth=2", "data.crop=64", "data.batch_size=2", "train.precision=bf16"])
    resolved, decisions = resolve(config, make_manifest(), laptop)
    fields = {"model.depth", "data.crop", "data.batch_size", "train.precision"}
    assert {key: flatten(resolved)[key] for key in fields} == {key: flatten(config)[key] for key in fields}
    assert not fields & {decision.field for decision in decisions}


def test_resolve_on_gpus_uses_one_each_and_bf16(make_manifest: Make, gpu_node: Hardware) -> None:
    config = plan(make_manifest(rows=4000), gpu_node, "scale.workers=4")
    assert (config.scale.gpu, config.train.precision) == (True, "bf16")
    assert config.data.batch_size == 64
    assert config.scale.cpus_per_worker == 7


@pytest.mark.parametrize(
    ("memory_gib", "overrides", "memory"),
    [
        (8, (), "keep"),
        (1.2, (), "recompute"),  # not even one sample
        (1.2, ("model.norm=batch",), "keep"),
        (8, ("data.batch_size=8",), "recompute"),
        (None, (), "keep"),
    ],
    ids=["fits", "sample", "batch norm", "batch", "unknown"],
)
def test_resolve_recomputes_only_what_does_not_fit_otherwise(
    make_manifest: Make, memory_gib: float | None, overrides: tuple[str, ...], memory: str
) -> None:
    hardware = machine(memory_bytes=None if memory_gib is None else int(memory_gib * GIB))
    config = plan(make_manifest(sizes={"512x512": 99}, rows=99), hardware, *overrides)
    assert config.train.memory == memory


AMX = CpuSpeed("AMX", 100.0, 400.0)
AVX512 = CpuSpeed("AVX512-BF16", 120.0, 240.0)
EMULATED = CpuSpeed("AVX512-BF16", 100.0, 40.0)
NONE = CpuSpeed("")


@pytest.mark.parametrize(
    ("speeds", "precision", "reason"),
    [
        ([AMX], "bf16", "AMX: bf16 convolves 4.0 times as fast as fp32, 400 against 100 GMAC/s a thread"),
        ([AMX, AVX512], "bf16", "AVX512-BF16: bf16 convolves 2.0 times as fast"),
        ([AMX, NONE], "fp32", "no units for bf16 in the CPU"),
        ([EMULATED], "fp32", "AVX512-BF16: bf16 convolves 0.4 times as fast"),
        ([AMX, None], "fp32", "1 node(s) do not tell how fast their CPU is in bf16"),
    ],
    ids=["amx", "slowest decides", "one without", "masked", "unknown"],
)
def test_resolve_precision_on_cpus_is_what_the_slowest_gains(
    make_manifest: Make, speeds: list[CpuSpeed | None], precision: str, reason: str
) -> None:
    hardware = Hardware(tuple(Node(4, 8 * GIB, cpu_speed=speed) for speed in speeds))
    config = load_config(None, ["scale.address=ray://head:10001"])
    _, decisions = resolve(config, make_manifest(), hardware)
    decision = next(decision for decision in decisions if decision.field == "train.precision")
    assert decision.value == precision
    assert decision.reason.startswith(reason)


@pytest.mark.parametrize(
    ("sizes", "depth", "crop"),
    [
        ({"128x128": 9}, 4, 128),  # whole images
        ({"360x480": 9}, 4, 352),  # the shorter side, rounded down to a multiple of 16
        ({"100x90": 9}, 3, 88),
        ({"100x100": 9}, 3, 104),  # whole, rounded up to a multiple of 8
        ({"20x20": 9}, 1, 20),
        ({"1024x1024": 9}, 4, 256),  # too large to be whole
        ({"256x256": 5, "1024x1024": 4}, 4, 256),
        ({"100x120": 5, "1024x1024": 4}, 3, 104),  # the median shorter side
    ],
)
def test_resolve_depth_and_crop_follow_the_sizes(
    make_manifest: Make, laptop: Hardware, sizes: dict[str, int], depth: int, crop: int
) -> None:
    config = plan(make_manifest(sizes), laptop)
    assert (config.model.depth, config.data.crop) == (depth, crop)


@pytest.mark.parametrize(("crop", "depth"), [(8, 1), (16, 1), (31, 1), (32, 2), (64, 3), (128, 4), (512, 4)])
def test_resolve_depth_leaves_eight_pixels_at_the_bottleneck(
    make_manifest: Make, laptop: Hardware, crop: int, depth: int
) -> None:
    assert plan(make_manifest(), laptop, f"data.crop={crop}").model.depth == depth


@pytest.mark.parametrize(
    ("fields", "depth", "crop"),
    [
        (("model.stem_stride=2",), 4, 352),
        (("model.stem_stride=4",), 3, 352),
        (("model.encoder=lite0",), 5, 352),
        (("model.encoder=lite0", "model.stem_stride=2"), 4, 352),
        (("model.encoder=lite0", "model.stem_stride=4"), 3, 352),
        (("model.encoder=lite0", "data.crop=64"), 3, 64),
        (("model.encoder=lite0", "model.stem_stride=2", "model.depth=2"), 2, 360),
    ],
)
def test_resolve_depth_and_crop_follow_encoder_and_stem(
    make_manifest: Make, laptop: Hardware, fields: tuple[str, ...], depth: int, crop: int
) -> None:
    config = plan(make_manifest({"360x480": 9}), laptop, *fields)
    assert (config.model.depth, config.data.crop) == (depth, crop)


@pytest.mark.parametrize("field", ["model.widths=[4,8,16]", "model.dilation=[1,2,4]"])
def test_resolve_depth_follows_lists_of_levels(make_manifest: Make, laptop: Hardware, field: str) -> None:
    assert plan(make_manifest(), laptop, field).model.depth == 2


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    workers=st.integers(1, 8),
    accumulate=st.integers(1, 4),
    rows=st.integers(8, 3000),
    gpus=st.integers(0, 8),
    memory_gib=st.integers(1, 80),
)
def test_resolve_batch_size_fits_rows_and_divides(
    make_manifest: Make, workers: int, accumulate: int, rows: int, gpus: int, memory_gib: int
) -> None:
    hardware = machine(16, memory_gib * GIB, gpus, memory_gib * GIB if gpus else None)
    overrides = [f"scale.workers={workers}", f"train.accumulate={accumulate}"]
    batch = plan(make_manifest(rows=rows), hardware, *overrides).data.batch_size
    assert batch % (workers * accumulate) == 0
    assert workers * accumulate <= batch <= max(rows, workers * accumulate)


def test_resolve_little_memory_shrinks_the_batch(make_manifest: Make) -> None:
    small, large = (machine(8, gib * GIB) for gib in (2, 64))
    manifest = make_manifest({"512x512": 999}, rows=999)
    assert plan(manifest, small).data.batch_size < plan(manifest, large).data.batch_size


@pytest.mark.parametrize(("cpus", "workers"), [(1, 1), (2, 1), (2, 2), (2, 4), (4, 1), (16, 3)])
def test_resolve_cpus_per_worker_leaves_room_for_reading(
    make_manifest: Make, cpus: int, workers: int
) -> None:
    hardware = machine(cpus)
    share = plan(make_manifest(), hardware, f"scale.workers={workers}").scale.cpus_per_worker
    assert 0 < share * workers <= max(cpus - 1, cpus / 2)


@pytest.mark.parametrize(
    ("workers", "gpus", "part"), [(1, 1, 1.0), (4, 4, 1.0), (5, 4, 0.5), (3, 1, 0.333), (8, 1, 0.125)]
)
def test_resolve_workers_share_the_gpus_where_there_are_fewer(
    make_manifest: Make, workers: int, gpus: int, part: float
) -> None:
    hardware = machine(16, 64 * GIB, gpus, 40 * GIB)
    config = plan(make_manifest(), hardware, "scale.gpu=true", f"scale.workers={workers}")
    assert config.scale.gpus_per_worker == part


def test_resolve_batch_size_plans_with_the_part_of_the_gpu(make_manifest: Make) -> None:
    hardware = machine(16, 64 * GIB, 1, 12 * GIB)
    manifest = make_manifest({"512x512": 999}, rows=999)
    whole, part = (
        plan(manifest, hardware, "scale.gpu=true", f"scale.gpus_per_worker={share}").data.batch_size
        for share in (1, 0.5)
    )
    assert part <= whole / 2


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ("model.in_channels=1", "model.in_channels=1 must equal the dataset's 3; use 3 or auto"),
        ("model.num_classes=2", "model.num_classes=2 must equal the dataset's 1; use 1 or auto"),
        ("model.image_classes=2", "model.image_classes=2 must be 0 or the dataset's 0; use auto"),
        ("model.spatial_dims=3", "use model.spatial_dims=2"),
        (
            "scale.gpu=true",
            "scale.gpu=true needs scale.gpus_per_worker=1 for each .* use scale.gpu=false",
        ),
        ("scale.cpus_per_worker=4", "must not exceed the 2 CPU"),
        ("scale.workers=300 scale.cpus_per_worker=0.001", "use scale.workers=200"),
        ("data.batch_size=400 data.drop_last=true", "use data.drop_last=false"),
    ],
)
def test_resolve_value_that_does_not_fit_is_refused(
    make_manifest: Make, laptop: Hardware, overrides: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        plan(make_manifest(), laptop, *overrides.split())


def test_resolve_without_train_rows_is_refused(make_manifest: Make, laptop: Hardware) -> None:
    with pytest.raises(ConfigError, match="train split must hold rows"):
        plan(make_manifest({"8x8": 1}, rows=0), laptop)


def test_resolve_image_labels_add_a_head(make_manifest: Make, laptop: Hardware) -> None:
    assert plan(make_manifest(labels=("benign", "malignant")), laptop).model.image_classes == 2


def test_resolve_cache_holds_the_decoded_dataset_or_half_of_the_free_disk(
    make_manifest: Make, laptop: Hardware
) -> None:
    shards = [
        ShardInfo(name=name, sha256=name, bytes=2**20, rows=80, decoded_bytes=2**23)
        for name in ("a", "b", "c")
    ]
    train = SplitInfo(rows=240, shards=tuple(shards))
    manifest = make_manifest().model_copy(update={"splits": {"train": train}})

    def cache_bytes(free_disk_bytes: int, *overrides: str) -> int:
        hardware = replace(laptop, free_disk_bytes=free_disk_bytes)
        return int(resolve(load_config(None, overrides), manifest, hardware)[0].data.cache_bytes)

    assert 3 * 2**23 < cache_bytes(2**40) < 3.1 * 2**23
    assert cache_bytes(2**20) == 2**19
    assert cache_bytes(2**20, "data.cache_dir=/elsewhere") == cache_bytes(2**40)
    assert cache_bytes(2**40, "data.cache_bytes=7") == 7


@pytest.mark.parametrize(
    ("size", "foreground_share", "expected"),
    [
        ("512x512", 0.01, 0.0),  # whole images
        ("1024x1024", 0.01, 0.33),
        ("1024x1024", 0.2, 0.0),  # any crop holds it
        ("1024x1024", 0.0, 0.0),  # nothing to be centred on
    ],
)
def test_resolve_foreground_crops_only_where_crops_may_miss_it(
    make_manifest: Make, laptop: Hardware, size: str, foreground_share: float, expected: float
) -> None:
    pixels = int(foreground_share * 1024 * 1024 * 200)
    manifest = make_manifest({size: 200}).model_copy(update={"class_pixels": (pixels,)})
    config, decisions = resolve(load_config(None, ["model.depth=4"]), manifest, laptop)
    assert config.data.foreground == expected
    assert any(d.field == "data.foreground" and d.reason for d in decisions)


def test_resolve_foreground_looks_at_the_rarest_class_that_occurs(
    make_manifest: Make, laptop: Hardware
) -> None:
    total = 1024 * 1024 * 200
    classes = tuple(ClassInfo(name=name, colour=(0, 0, 0)) for name in ("void", "road", "pole", "absent"))
    changes = {
        "task": "multiclass", "classes": classes, "class_pixels": (1, total // 2, total // 100, 0)
    }  # fmt: skip
    manifest = make_manifest({"1024x1024": 200}).model_copy(update=changes)
    config, decisions = resolve(load_config(None, []), manifest, laptop)
    assert config.data.foreground == 0.33
    assert "pole, takes 1.00%" in next(d.reason for d in decisions if d.field == "data.foreground")
