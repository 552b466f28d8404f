"""Around the plan: what `train.minutes` decides from the data stays, what it takes for granted is searched.

    unetpp tune search_spaces/auto.py data.uri=URI out=SWEEP train.minutes=5

Encoder, stride, normalisation, flips and class weights are the plan's. Searched are the width, the rates, the
balance of the loss and the strength of the augmentation.
"""

from typing import Any

import optuna


def space(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "model.width": trial.suggest_categorical("model.width", [8, 16, 24, 32]),
        "optim.lr": trial.suggest_float("optim.lr", 5e-4, 5e-3, log=True),
        "optim.encoder_lr_factor": trial.suggest_float("optim.encoder_lr_factor", 0.05, 1.0, log=True),
        "optim.weight_decay": trial.suggest_float("optim.weight_decay", 1e-5, 1e-2, log=True),
        "loss.ce": trial.suggest_float("loss.ce", 0.25, 2.0, log=True),
        "loss.lovasz": trial.suggest_float("loss.lovasz", 0.0, 1.0, step=0.5),
        "loss.level_decay": trial.suggest_categorical("loss.level_decay", [0.3, 0.5, 0.7]),
        "augment.affine": trial.suggest_float("augment.affine", 0.0, 1.0, step=0.25),
        "augment.colour": trial.suggest_float("augment.colour", 0.0, 0.4, step=0.1),
    }
