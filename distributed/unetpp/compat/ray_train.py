"""Ray Train's interfaces without a promise: all that the package uses of them.

`DataParallelTrainer._initialize_and_run_controller`: has an actor of its own run the controller, a process
    that imports all that the driver has imported.
`DataParallelTrainer._create_default_callbacks`: among them one that starts an actor to free what a lost
    controller held; it asks Ray's dashboard for it, which a Ray inside a process does not have. Another one
    starts an actor, 1.3 s of processor, to hand out datasets that the trainer was given, which are none here.
`WorkerGroup._get_worker_runtime_env`: gives workers Ray Train's variables; processes that Ray has started in
    advance have no environment of their own and cannot be taken then.
`WorkerGroup._init_train_context_on_workers`: gives workers the controller's actor, so one there must be.
"""

import asyncio
import os
from typing import Any

import ray
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.worker_group.worker_group import WorkerGroup
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from unetpp.compat.ray import CHECKED_VERSION, EMBEDDED_VARIABLE

__all__ = ["CHECKED_VERSION", "Trainer"]


class Trainer(DataParallelTrainer):  # type: ignore[misc]  # ray is not typed
    """Runs the controller in this process where Ray was started for it alone: on a cluster Ray's dashboard
    follows the controller's actor, and its workers need the variables.
    """

    def _initialize_and_run_controller(self, **arguments: Any) -> Any:
        if EMBEDDED_VARIABLE not in os.environ:
            return super()._initialize_and_run_controller(**arguments)
        controller = _Controller(**arguments)
        asyncio.run(controller.run())
        return controller.get_result()

    def _create_default_callbacks(self) -> list[Any]:
        callbacks: list[Any] = super()._create_default_callbacks()
        left_out = {DatasetsCallback}
        if EMBEDDED_VARIABLE in os.environ:
            left_out.add(PlacementGroupCleanerCallback)
        return [one for one in callbacks if type(one) not in left_out]


class _WorkerGroup(WorkerGroup):  # type: ignore[misc]  # ray is not typed
    @staticmethod
    def _get_worker_runtime_env(custom_runtime_env: Any) -> Any:
        return custom_runtime_env

    def _init_train_context_on_workers(
        self, workers: list[Any], sync_actor: Any, train_context_args: dict[str, list[Any]]
    ) -> None:
        ray.get(
            [
                worker.actor.init_train_context.remote(
                    train_run_context=self._train_run_context,
                    distributed_context=worker.distributed_context,
                    synchronization_actor=sync_actor,
                    storage_context=self._storage_context,
                    worker_callbacks=self._worker_callbacks_to_propagate,
                    # Only asked for checkpoints that are reported to Ray Train, which none is.
                    controller_actor=None,
                    **{name: values[rank] for name, values in train_context_args.items()},
                )
                for rank, worker in enumerate(workers)
            ]
        )
        self._decorate_worker_log_file_paths(workers)


class _Controller(TrainController):  # type: ignore[misc]  # ray is not typed
    worker_group_cls = _WorkerGroup
