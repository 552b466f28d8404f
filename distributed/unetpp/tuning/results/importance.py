"""Which parameters separate the good trials of a sweep from the rest."""

import math
import warnings
from collections import Counter

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from unetpp.tuning.study.epochs import epoch_records, kept_levels
from unetpp.tuning.study.exploits import recorded_exploits
from unetpp.tuning.study.levels import headline
from unetpp.tuning.study.record import own_trials

__all__ = ["MIN_TRIALS", "parameter_importances"]

MIN_TRIALS = 10
"""Of the sweep, and with the parameter: with fewer, the best quarter is two and every difference chance."""
_BEST_SHARE = 0.25


def parameter_importances(study: optuna.Study) -> dict[str, float]:
    """Shares that sum to one, largest first, of the parameters that MIN_TRIALS trials with a result had.

    Empty where there is no such parameter, or all trials did equally well. A trial that went on with another
    one's weights is left out: its result is not that of its parameters.

    PED-ANOVA (Watanabe, Bansal, Hutter, IJCAI 2023) of the best quarter against all: it needs to know only
    which trials are the best, so a pruned trial, which is none of them, counts with the quality it reached.
    """
    found = optuna.create_study(direction="maximize")
    for trial in own_trials(study):
        records = epoch_records(trial)
        if recorded_exploits(trial, records):
            continue
        levels = kept_levels(records)
        quality = headline(levels).quality if levels else math.nan
        if math.isfinite(quality):
            found.add_trial(
                optuna.create_trial(params=trial.params, distributions=trial.distributions, value=quality)
            )
    trials = found.get_trials(deepcopy=False)
    counts = Counter(name for trial in trials for name in trial.params)
    rated = [name for name, count in counts.items() if count >= MIN_TRIALS]
    if not rated or len({trial.value for trial in trials}) < 2:
        return {}
    evaluator = PedAnovaImportanceEvaluator(target_quantile=_BEST_SHARE)
    with warnings.catch_warnings():
        # Said of each parameter that few of the best trials had; the page says what its figure rests on.
        warnings.simplefilter("ignore", UserWarning)
        shares = get_param_importances(found, evaluator=evaluator, params=rated)
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))
