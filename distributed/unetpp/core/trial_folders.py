"""Where the trials of a sweep lie: SWEEP/trials/NNNN, a run folder each."""

__all__ = ["TRIALS", "trial_of", "trial_uri"]

TRIALS = "trials"


def trial_uri(sweep: str, number: int) -> str:
    """A trial's run folder; relative where the sweep is the empty path."""
    return "/".join([*filter(None, [sweep.rstrip("/")]), TRIALS, f"{number:04d}"])


def trial_of(path: str) -> tuple[str, int] | None:
    """The sweep and the number that a path or URI names; None if it is no trial's."""
    parent, _, name = path.rstrip("/").rpartition("/")
    sweep, _, folder = parent.rpartition("/")
    return (sweep, int(name)) if folder == TRIALS and name.isdecimal() else None
