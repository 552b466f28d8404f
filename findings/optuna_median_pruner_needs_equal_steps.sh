#!/usr/bin/env bash
# Behaviour: MedianPruner compares a trial only with values reported at exactly the same step.
# Where the step is a count of images or iterations and trials differ in batch or patch size, the
# steps never meet and nothing is ever pruned, without a word.
# Versions: optuna 5.0.0.
# Why it hurts: a search over batch or patch size with pruning trains every hopeless trial to the
# end.
# Instead: report at shared steps: the epoch, or the share of the budget in percent.
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
print("guess: it compares with the nearest earlier step, so a bad trial is pruned")
optuna.logging.set_verbosity(optuna.logging.ERROR)


def pruned(batch_of_bad_trials):
    def train(trial):
        bad = trial.number >= 8
        dice, batch = (0.1, batch_of_bad_trials) if bad else (0.9, 100)
        for iteration in range(1, 11):
            trial.report(dice, step=iteration * batch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return dice

    pruner = optuna.pruners.MedianPruner(n_startup_trials=5)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    study.optimize(train, n_trials=12)
    return sum(trial.state.name == "PRUNED" for trial in study.trials)


expect("4 bad trials, equal steps, pruned", 4, pruned(100))
expect("4 bad trials, other steps, pruned", 0, pruned(107))
PY
