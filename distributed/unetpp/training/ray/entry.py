"""What Ray Train hands to its workers; whoever starts them imports no torch."""

from typing import Any, TypedDict

from unetpp.training.run.job import TrainJob

__all__ = ["WorkerArguments", "train_worker"]


class WorkerArguments(TypedDict):
    """`train_loop_config` of every worker."""

    job: TrainJob
    board: Any
    concurrent: int
    """Trainings that share the machines."""


def train_worker(arguments: WorkerArguments) -> None:
    """Run one rank; Ray Train calls this in every worker and calls it again after a lost one."""
    # Here and not above: the driver names this function and has no use for what it needs.
    from unetpp.training.ray.worker import run_worker

    run_worker(arguments)
