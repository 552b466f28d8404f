"""What `auto` decides on a described cluster: from its nodes, not from its head."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from machines import GIB, cluster, machine
from random_examples import examples
from unetpp.config import Hardware, Node, RunConfig, load_config, replace, resolve
from unetpp.config.planning.feasibility import check
from unetpp.config.planning.placement import candidates, concurrency, trials_at_once
from unetpp.config.planning.shares import worker_memory_bytes, worker_threads
from unetpp.core.errors import ConfigError
from unetpp.core.manifest import Manifest

Make = Callable[..., Manifest]
ON_CLUSTER = ("scale.address=auto",)
DGX = cluster(16, cpus=128, memory_bytes=1024 * GIB, gpus=8, gpu_memory_bytes=80 * GIB)


@pytest.fixture
def manifest(make_manifest: Make) -> Manifest:
    return make_manifest({"256x256": 20_000}, rows=20_000)


def plan(manifest: Manifest, hardware: Hardware, *overrides: str, sweep: bool = False) -> RunConfig:
    return resolve(load_config(None, [*ON_CLUSTER, *overrides]), manifest, hardware, sweep=sweep)[0]


def memory_bytes(config: RunConfig, hardware: Hardware, *, sweep: bool = False) -> int | None:
    nodes = candidates(config.scale, hardware)
    trials = max(1, trials_at_once(config, nodes)) if sweep else 1
    return worker_memory_bytes(config, nodes, trials)


@pytest.mark.parametrize("gpu", ["auto", "true"])
def test_resolve_from_a_cpu_head_plans_for_the_gpu_nodes(manifest: Manifest, gpu: str) -> None:
    config = plan(manifest, cluster(4), "scale.workers=4", f"scale.gpu={gpu}")
    assert (config.scale.gpu, config.train.precision, config.data.batch_size) == (True, "bf16", 64)
    assert config.scale.cpus_per_worker == 15


def test_resolve_a_sweep_on_many_gpus_gives_each_its_trial(manifest: Manifest) -> None:
    config = plan(manifest, DGX, sweep=True)
    assert (config.data.batch_size, config.scale.cpus_per_worker) == (16, 15)
    assert concurrency(config, DGX) == 128
    assert check(config, memory_bytes(config, DGX, sweep=True)) is None


def test_resolve_head_that_offers_nothing_does_not_count(manifest: Manifest) -> None:
    with_head = plan(manifest, cluster(4, gpus=0), "scale.workers=4")
    nodes = cluster(4, gpus=0).nodes[1:]
    assert with_head == plan(manifest, Hardware(nodes), "scale.workers=4")


def test_resolve_small_head_leaves_large_nodes_their_cpus(manifest: Manifest) -> None:
    config = plan(manifest, cluster(2, cpus=64, gpus=0, head_cpus=1), "scale.workers=2")
    assert config.scale.cpus_per_worker == 63


def test_resolve_looks_only_at_nodes_that_labels_and_the_gpu_model_mean(manifest: Manifest) -> None:
    small = Node(8, 32 * GIB, 1, 8 * GIB, "T4", {"zone": "b"})
    large = Node(32, 256 * GIB, 1, 80 * GIB, "H100", {"zone": "a"})
    hardware = Hardware((small, large))
    for choice in ("scale.accelerator_type=H100", "scale.labels={zone: a}"):
        config = plan(manifest, hardware, "model.width=64", choice)
        assert config.scale.cpus_per_worker == 31
        assert memory_bytes(config, hardware) == 80 * GIB
    assert memory_bytes(plan(manifest, hardware), hardware) == 8 * GIB
    assert plan(manifest, hardware, "scale.labels={zone: c}").scale.gpu is False


def test_resolve_unknown_gpu_memory_sets_no_limit_and_says_so(manifest: Manifest) -> None:
    hardware = cluster(4, gpu_memory_bytes=None)
    config, decisions = resolve(load_config(None, [*ON_CLUSTER, "scale.gpu=true"]), manifest, hardware)
    assert config.data.batch_size == 16
    assert memory_bytes(config, hardware) is None
    reason = next(d.reason for d in decisions if d.field == "data.batch_size")
    assert "memory of its device is not known and sets no limit" in reason


def test_resolve_nodes_that_do_not_exist_yet_are_what_scale_says_of_them(manifest: Manifest) -> None:
    empty = Hardware((Node(0, 4 * GIB),))
    said = ("scale.autoscaling=true", "scale.workers=4")
    config = plan(
        manifest, empty, *said, "scale.node_cpus=33", "scale.node_gpus=4", "scale.node_gpu_memory_gib=24"
    )
    assert (config.scale.gpu, config.scale.cpus_per_worker) == (True, 8)
    assert memory_bytes(config, empty) == 24 * GIB


def test_resolve_nodes_of_which_nothing_is_known_set_no_limit(manifest: Manifest) -> None:
    empty = Hardware((Node(0, 4 * GIB),))
    config, decisions = resolve(
        load_config(None, [*ON_CLUSTER, "scale.autoscaling=true", "scale.workers=4"]), manifest, empty
    )
    assert config.scale.gpu is False
    reasons = {d.field: d.reason for d in decisions}
    assert "say scale.gpu=true if nodes with GPUs will come" in reasons["scale.gpu"]
    assert "no node that could train is known" in reasons["scale.cpus_per_worker"]
    assert plan(manifest, empty, "scale.autoscaling=true", "scale.gpu=true").data.batch_size == 16
    assert memory_bytes(config, empty) is None


def test_description_of_coming_nodes_needs_autoscaling() -> None:
    with pytest.raises(ConfigError, match=r"scale\.node_gpus=4 .* needs scale\.autoscaling=true"):
        load_config(None, ["scale.node_gpus=4"])


def test_worker_memory_is_divided_by_the_trials_that_share_a_node(manifest: Manifest) -> None:
    laptop = machine(cpus=2, memory_bytes=8 * GIB)
    config = resolve(load_config(None, []), manifest, laptop, sweep=True)[0]
    assert concurrency(config, laptop) == 2
    assert memory_bytes(config, laptop, sweep=True) == 4 * GIB
    nested = resolve(load_config(None, ["scale.workers=2"]), manifest, laptop, sweep=True)[0]
    at_once = concurrency(nested, laptop)
    assert memory_bytes(nested, laptop, sweep=True) == 8 * GIB // (2 * at_once)


def test_worker_memory_is_divided_only_on_the_node_that_is_shared(manifest: Manifest) -> None:
    nodes = cluster(4, cpus=8, memory_bytes=32 * GIB, gpus=0)
    spread = plan(manifest, nodes, "scale.workers=4", "scale.cpus_per_worker=7")
    packed = plan(manifest, nodes, "scale.workers=4", "scale.cpus_per_worker=2")
    assert memory_bytes(spread, nodes) == 32 * GIB
    assert memory_bytes(packed, nodes) == 8 * GIB


@pytest.mark.parametrize(
    ("overrides", "cores", "sharing", "threads"),
    [
        ((), 8, 1, 8),
        ((), 8, 4, 2),
        ((), 2, 6, 1),
        (("scale.address=auto", "scale.cpus_per_worker=3"), 8, 1, 3),  # others reserve the rest
        (("scale.address=auto", "scale.cpus_per_worker=16"), 8, 1, 8),  # a container has fewer than its node
        (("scale.address=auto", "scale.cpus_per_worker=0.5"), 8, 1, 1),
    ],
)
def test_worker_threads_are_those_of_its_part_of_the_machine(
    overrides: tuple[str, ...], cores: int, sharing: int, threads: int
) -> None:
    config = load_config(None, ["scale.cpus_per_worker=1", *overrides])
    assert worker_threads(config, cores, sharing) == threads


@given(
    cores=st.integers(1, 128),
    nodes=st.lists(st.integers(1, 256), min_size=1, max_size=4),
    reserved=st.sampled_from([0.05, 0.5, 1, 1.5, 2, 3, 7, 64]),
)
def test_threads_of_all_workers_that_fit_on_a_machine_are_no_more_than_its_cores(
    cores: int, nodes: list[int], reserved: float
) -> None:
    fields = ["scale.address=auto", f"scale.cpus_per_worker={reserved}"]
    workers = sum(int(cpus / reserved) for cpus in nodes)
    threads = worker_threads(load_config(None, fields), cores, 1, sum(nodes))
    assert threads == 1 or workers * threads <= cores


@given(cores=st.integers(1, 128), workers=st.integers(1, 8), trials=st.integers(1, 8))
def test_threads_of_trials_at_once_are_no_more_than_the_cores(cores: int, workers: int, trials: int) -> None:
    threads = worker_threads(load_config(None, []), cores, workers * trials)
    assert threads == 1 or workers * trials * threads <= cores


_NODES = st.builds(
    Node,
    cpus=st.sampled_from([0, 0.5, 1, 2, 8, 96]),
    memory_bytes=st.one_of(st.none(), st.integers(2**28, 2**38)),
    gpus=st.sampled_from([0, 0, 1, 2, 8]),
    gpu_memory_bytes=st.one_of(st.none(), st.integers(2**28, 2**37)),
)


@pytest.mark.slow
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(80), deadline=None
)
@given(
    nodes=st.lists(_NODES, min_size=1, max_size=5),
    workers=st.one_of(st.integers(1, 9), st.tuples(st.integers(1, 3), st.integers(3, 8))),
    accumulate=st.integers(1, 3),
    width=st.sampled_from([4, 32, 96]),
    norm=st.sampled_from(["group", "batch"]),
    side=st.sampled_from([64, 500]),
    gpu=st.sampled_from(["auto", "false"]),
    concurrent=st.sampled_from(["auto", 1, 3]),
    sweep=st.booleans(),
)
def test_what_auto_decides_is_feasible_wherever_one_sample_is(
    make_manifest: Make, nodes: list[Node], workers: int | tuple[int, int], accumulate: int, width: int,
    norm: str, side: int, gpu: str, concurrent: int | str, sweep: bool,
) -> None:  # fmt: skip
    hardware = Hardware(tuple(nodes))
    overrides = {
        "scale.address": "auto", "scale.workers": workers, "train.accumulate": accumulate,
        "model.width": width, "model.norm": norm, "scale.gpu": yaml_bool(gpu),
        "tune.max_concurrent": concurrent,
    }  # fmt: skip
    given_config = replace(load_config(None, []), overrides)
    manifest = make_manifest({f"{side}x{side}": 5000}, rows=5000)
    config, _ = resolve(given_config, manifest, hardware, sweep=sweep)
    unit = config.max_workers * accumulate
    assert config.data.batch_size % unit == 0
    limit = memory_bytes(config, hardware, sweep=sweep)
    least = replace(config, {"data.batch_size": unit})
    assert check(config, limit) is None or check(least, limit) is not None


def yaml_bool(text: str) -> bool | str:
    return text if text == "auto" else text == "true"
