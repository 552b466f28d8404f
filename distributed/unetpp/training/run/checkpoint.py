"""A learner and its state as checkpoint files, and back.

model.safetensors   weights and buffers
dilation.json       the best vector of dilations, where several share the weights
ema.safetensors     averaged weights, where they are kept
optimizer.pt        optimiser and schedule, tensors only
state.json          TrainState
"""

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from unetpp.core.checkpoints import CheckpointStore
from unetpp.core.errors import CheckpointError
from unetpp.models.load import DILATION_FILE, EMA_FILE, MODEL_FILE
from unetpp.training.loop.collective import from_rank_0, max_over_ranks
from unetpp.training.loop.learner import Learner
from unetpp.training.loop.optim import set_rates
from unetpp.training.loop.state import TrainState
from unetpp.training.run.saved_state import STATE_FILE

__all__ = ["agreed_checkpoint", "pack_checkpoint", "restore_learner"]

_OPTIMIZER_FILE = "optimizer.pt"


def pack_checkpoint(learner: Learner, state: TrainState) -> dict[str, bytes]:
    """Serialise everything needed to continue as if never stopped."""
    files = {
        MODEL_FILE: safetensors.torch.save(_contiguous(learner.model.state_dict())),
        STATE_FILE: json.dumps(state.to_json(), indent=1).encode(),
    }
    if learner.shares_dilations:
        files[DILATION_FILE] = json.dumps(learner.model.dilation).encode()
    if learner.ema is not None:
        files[EMA_FILE] = safetensors.torch.save(_contiguous(learner.ema.module.state_dict()))
    stream = io.BytesIO()
    averaged = int(learner.ema.n_averaged) if learner.ema is not None else 0
    progress = {
        "optimizer": learner.optimizer.state_dict(),
        "schedule": learner.schedule.state_dict(),
        "averaged": averaged,
    }
    # LambdaLR drops its lambdas from the state dict; what is left is numbers.
    torch.save(progress, stream)
    files[_OPTIMIZER_FILE] = stream.getvalue()
    return files


def agreed_checkpoint(
    store: CheckpointStore, rank: int, device: torch.device
) -> tuple[int, dict[str, bytes]] | None:
    """The checkpoint that rank 0 finds newest, on every rank; None where it finds none.

    Raises:
        CheckpointError: a rank does not have that checkpoint.
    """
    found = store.latest() if rank == 0 else None
    # Folders of two nodes may hold a checkpoint of the same step from different trainings.
    step, digest = from_rank_0([-1, 0] if found is None else [found[0], _digest(found[1])], device)
    lacking = ""
    if rank != 0 and step >= 0:
        try:
            found = step, store.load(step)
            lacking = "" if _digest(found[1]) == digest else "its checkpoint of that step is another one"
        except CheckpointError as error:
            lacking = str(error)
    # Nobody goes on alone: the others would wait for it in their next collective.
    if not max_over_ranks(int(bool(lacking)), device):
        return found
    raise CheckpointError(
        f"all workers must start from the checkpoint of step {step} that rank 0 has in "
        f"{store.storage.uri}; {lacking or 'another rank does not have it'}; "
        "out= must be a folder that all nodes share, or a bucket"
    )


def restore_learner(files: Mapping[str, bytes], learner: Learner) -> None:
    """Put weights, averages, optimiser and schedule back, in place; the schedule may have a new length."""
    learner.model.load_state_dict(safetensors.torch.load(files[MODEL_FILE]))
    if learner.shares_dilations:
        learner.set_dilation(json.loads(files[DILATION_FILE]))
    progress: dict[str, Any] = torch.load(
        io.BytesIO(files[_OPTIMIZER_FILE]), map_location=learner.device, weights_only=True
    )
    learner.optimizer.load_state_dict(progress["optimizer"])
    learner.schedule.load_state_dict(progress["schedule"])
    # What was saved unless the run's length has changed since.
    set_rates(learner.schedule)
    if learner.ema is not None:
        learner.ema.module.load_state_dict(safetensors.torch.load(files[EMA_FILE]))
        learner.ema.n_averaged.fill_(progress["averaged"])


def _digest(files: Mapping[str, bytes]) -> int:
    """Of where a training stood, its times included: as good as its identity."""
    return int.from_bytes(hashlib.sha256(files[STATE_FILE]).digest()[:7])


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
