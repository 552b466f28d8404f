"""Minutes hold whatever images, steps and validations take: the real loop on a clock that only work moves."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from fakes import LocalSession, start_run, tiny_config, write_dataset
from unetpp.core.manifest import Manifest
from unetpp.core.rundir import RunDir
from unetpp.models.build import build_model
from unetpp.models.latency import measure_levels_s
from unetpp.models.unetpp import UNetPlusPlus
from unetpp.training.run.rank import run_job

_CPU = torch.device("cpu")
_TOTAL_S = 60.0
_BATCH_SIZE = 4
Datasets = dict[int, tuple[str, Manifest]]


class WorkClock:
    """Stands still but for passes of the network.

    Args:
        start_up_s: before the first of them.
        step_image_s: of an image in a training step.
        val_image_s: of a scored image.
    """

    def __init__(self, start_up_s: float, step_image_s: float, val_image_s: float) -> None:
        self.now_s, self._step_image_s, self._val_image_s = start_up_s, step_image_s, val_image_s

    def __call__(self) -> float:
        return self.now_s

    @contextmanager
    def running(self) -> Iterator[None]:
        """Passes take time inside."""
        hook = register_module_forward_pre_hook(self._pass)
        try:
            yield
        finally:
            hook.remove()

    def _pass(self, module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(module, UNetPlusPlus):
            self.now_s += len(inputs[0]) * (self._step_image_s if module.training else self._val_image_s)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Datasets:
    """By training rows; validation has an eighth as many."""
    found = {}
    for rows in (8, 800):
        folder = tmp_path_factory.mktemp(f"rows{rows}")
        splits = {"train": rows, "val": max(rows // 8, 1)}
        found[rows] = (str(folder), write_dataset(folder, splits, rows_per_shard=50))
    return found


@pytest.mark.parametrize(
    ("rows", "start_up_s", "step_image_s", "val_image_s"),
    [(8, 0.0, 0.5, 6.0), (8, 20.0, 1.5, 0.2), (800, 5.0, 0.5, 0.2), (800, 20.0, 1.0, 6.0)],
)
def test_minutes_end_in_time_with_a_validated_checkpoint_for_any_images(
    tmp_path: Path,
    datasets: Datasets,
    rows: int,
    start_up_s: float,
    step_image_s: float,
    val_image_s: float,
) -> None:
    uri, manifest = datasets[rows]
    config = tiny_config(uri, train={"minutes": _TOTAL_S / 60}, data={"batch_size": _BATCH_SIZE})
    job = start_run(config.model_copy(update={"out": str(tmp_path / "run")}), manifest)
    # Real seconds bound how often a process times the levels, and it does so once.
    measure_levels_s(build_model(config.model), channels=1, size_px=config.patch_px, device=_CPU)
    clock, session = WorkClock(start_up_s, step_image_s, val_image_s), LocalSession()
    with clock.running():
        state = run_job(replace(job, began_at=0.0), session, _CPU, clock)
    assert clock.now_s <= 1.1 * _TOTAL_S
    assert state.finished
    assert "val" in session.reports[-1]
    found = RunDir(job.run_uri).checkpoints.best()
    assert found is not None
