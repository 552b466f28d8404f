#!/usr/bin/env bash
# Behaviour: a GridSampler driven by ask and tell raises RuntimeError from the tell of the last
# grid point ('Study.stop is supposed to be invoked inside ...'); the value has been stored
# before.
# Versions: optuna 5.0.0.
# Why it hurts: a scheduler that runs trainings on a cluster through ask and tell dies just as its
# grid is complete, and may retry the last, longest training.
# Instead: catch RuntimeError around tell and ask sampler.is_exhausted(study), or number the grid
# yourself.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq optuna==5.0.0
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import optuna


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("optuna",)
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: tell stores the last value and returns")
optuna.logging.set_verbosity(optuna.logging.ERROR)
sampler = optuna.samplers.GridSampler({"depth": [3, 4, 5]})
study = optuna.create_study(sampler=sampler)
told = []
for number in range(3):
    trial = study.ask()
    depth = trial.suggest_int("depth", 3, 5)
    try:
        study.tell(trial, float(depth))
        told.append("stored")
    except RuntimeError as error:
        print("seen:", error)
        told.append("RuntimeError")
expect("three tells", ["stored", "stored", "RuntimeError"], told)
expect("states", ["COMPLETE"] * 3, [trial.state.name for trial in study.trials])
PY
