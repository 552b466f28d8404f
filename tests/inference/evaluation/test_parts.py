"""An evaluation whose parts several processes share gives the bytes of one, in whatever order parts end."""

import pytest

from fake_pool import FakePool
from unetpp.core.errors import CorruptionError
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.inference.evaluate import evaluate
from unetpp.inference.evaluation.options import evaluate_options
from unetpp.inference.evaluation.parts import PartReader, batches, cut_parts
from unetpp.inference.masks.kept import kept_thresholds

SIZES = [(24, 24)] * 4 + [(20, 33), (24, 24), (24, 24), (17, 9), (24, 24)]
TIMES = {"seconds", "images_per_s", "cpu_ms", "latency"}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr("unetpp.inference.evaluation.parts._MOST_ROWS", 2)


def timeless(found):
    """Without what the clock says."""
    if isinstance(found, dict):
        return {key: timeless(value) for key, value in found.items() if key not in TIMES}
    return [timeless(each) for each in found] if isinstance(found, list) else found


def files(root):
    paths = [
        path for path in sorted(root.rglob("*")) if path.is_file() and path.parent != root / "evaluations"
    ]
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("binary", {"tta": True, "average_levels": True, "min_object_px": 4, "boundaries": True}),
        ("multiclass", {"fit_thresholds": True, "thresholds": (0.5, 0.5, 0.5)}),
        ("multilabel", {"corruption": "gaussian_noise", "thresholds": 0.4}),
        ("binary", {"attack": "pgd", "epsilon": 4, "steps": 1}),
    ],
)
def test_evaluation_shared_among_processes_equals_that_of_one_to_the_bit(make_run, tmp_path, task, options):
    run = make_run(task, sizes=SIZES)
    found, written, kept = [], [], []
    for workers in (None, 1, 2, 3):
        out = tmp_path / str(workers)
        pool = None if workers is None else FakePool(workers)
        told = []
        summary = evaluate(
            run,
            options=evaluate_options(out=str(out), **options),
            run=pool,
            on_rows=lambda done, total, told=told: told.append((done, total)),
        )
        assert [done for done, _ in told] == [2, 4, 6, 8, 9]
        assert pool is None or pool.items == 5
        found.append(timeless(summary))
        written.append(files(out))
        kept.append(kept_thresholds(RunDir(run), 3, 2))
    assert len(written[0]) >= 6  # lines, table and panels
    for index in (1, 2, 3):
        assert found[index] == found[0]
        assert written[index] == written[0]
        assert kept[index] == kept[0]


@pytest.mark.slow
def test_ensemble_shared_among_processes_equals_that_of_one(make_run, tmp_path):
    runs = [make_run(sizes=SIZES), make_run(sizes=SIZES, name="other", width=6)]
    alone, shared = (
        evaluate(runs, options=evaluate_options(out=str(tmp_path / name)), run=pool)
        for name, pool in (("alone", None), ("shared", FakePool(2)))
    )
    assert timeless(alone) == timeless(shared)
    assert [stage["masks"] for stage in alone["stages"]] == ["run", "other", "mean of 2 networks"]


def test_parts_hold_every_row_once_and_batches_one_size(make_run):
    storage = open_storage(f"{make_run(sizes=SIZES)}-data")
    manifest = load_manifest(storage)
    chosen = manifest.splits["val"].shards[0].model_copy(update={"selected": (0, 2, 3, 7, 8), "rows": 5})
    split = manifest.splits["val"].model_copy(update={"shards": (chosen, *manifest.splits["test"].shards)})
    manifest = manifest.model_copy(update={"splits": {**manifest.splits, "both": split}})
    parts, read = cut_parts(manifest, "both"), PartReader(storage, split.shards)
    found = [sample for part in parts for sample in read(part)]
    expected = list(iter_samples(storage, manifest, "both"))
    assert [sample.sample_id for sample in found] == [sample.sample_id for sample in expected]
    assert [part.first for part in parts] == [0, 2, 4, 5, 7, 9, 11, 13]
    assert [part.number for part in parts] == list(range(8))
    sizes = [[sample.mask.shape for sample in batch] for batch in batches(found)]
    assert [len(batch) for batch in sizes] == [3, 1, 5, 1, 2, 1, 1]
    assert all(len(set(batch)) == 1 for batch in sizes)


def test_part_of_a_shard_that_is_gone_is_an_error_of_the_user(make_run):
    run = make_run(sizes=SIZES)
    storage = open_storage(f"{run}-data")
    manifest = load_manifest(storage)
    shards = manifest.splits["test"].shards
    storage.delete(shards[0].name)
    with pytest.raises(CorruptionError, match="missing"):
        PartReader(storage, shards)(cut_parts(manifest, "test")[0])
