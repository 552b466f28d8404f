"""The networks of a sweep whose trials share their weights, by their number in its result."""

from dataclasses import dataclass

from unetpp.config.dilations import Dilation
from unetpp.core.errors import ConfigError
from unetpp.core.places import trial_uri
from unetpp.tuning.folder import load_sweep
from unetpp.tuning.results.leaderboard import leaderboard, sharing_rows

__all__ = ["SharedNetwork", "shared_network"]


@dataclass(frozen=True)
class SharedNetwork:
    """Where one network of a sweep is."""

    run_uri: str
    """Of its trial."""
    level: int
    dilation: Dilation


def shared_network(sweep_uri: str, number: int) -> SharedNetwork:
    """The network that the sweep's result lists at a place of `candidates`, counted from 0, best first.

    Raises:
        InputError: no sweep there.
        ConfigError: the sweep has no such candidate.
    """
    rows = sharing_rows(leaderboard(load_sweep(sweep_uri)[1]))
    if not rows:
        raise ConfigError(
            f"--candidate={number} needs a sweep with tune.one_shot=depth+dilation and a result; {sweep_uri} "
            "has no candidates; name a trial's run with --level"
        )
    if not 0 <= number < len(rows):
        raise ConfigError(f"--candidate={number} must be within 0..{len(rows) - 1}, the sweep's candidates")
    row = rows[number]
    assert row.dilation is not None
    return SharedNetwork(trial_uri(sweep_uri, row.trial), row.level, row.dilation)
