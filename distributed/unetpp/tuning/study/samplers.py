"""Optuna samplers by name."""

import warnings
from importlib.util import find_spec

import optuna
from optuna.samplers import BaseSampler

from unetpp.config.sections.tune import SamplerName
from unetpp.core.errors import ConfigError
from unetpp.core.seeds import derive_seed

__all__ = ["build_sampler"]


def build_sampler(name: SamplerName, seed: int, num_objectives: int, *, drawn: int = 0) -> BaseSampler:
    """A sampler whose random stream depends on the seed and on how many trials the study has.

    With the same seed alone, a resumed sweep would suggest its first random trials again.

    Args:
        name: see `tune.sampler`.
        seed: see `tune.seed`.
        num_objectives: of the study.
        drawn: trials the study has already.

    Raises:
        ConfigError: a package is missing, or the sampler serves one objective only.
    """
    if name == "cmaes" and find_spec("cmaes") is None:
        raise ConfigError(
            "tune.sampler=cmaes needs the package cmaes; pip install 'unetpp[samplers]' or use "
            "tune.sampler=tpe"
        )
    if name == "cmaes" and num_objectives > 1:
        raise ConfigError(
            f"tune.sampler=cmaes serves one objective; there are {num_objectives}; use tune.sampler=nsga2"
        )
    # Quasi-random points are one sequence, which the study itself counts on.
    stream = derive_seed("sampler", seed, 0 if name == "qmc" else drawn) % 2**32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return _build(name, stream)


def _build(name: SamplerName, seed: int) -> BaseSampler:
    samplers = optuna.samplers
    if name == "tpe":
        # Groups keep parameters that occur together joint: conditional spaces have no common set of them.
        return samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
    if name == "gp":
        return samplers.GPSampler(seed=seed, warn_independent_sampling=False)
    if name == "cmaes":
        return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
    if name == "nsga2":
        return samplers.NSGAIISampler(seed=seed)
    if name == "qmc":
        return samplers.QMCSampler(scramble=True, seed=seed, warn_independent_sampling=False)
    return samplers.RandomSampler(seed=seed)
