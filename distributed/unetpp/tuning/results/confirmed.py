"""What a confirmation found, kept in the sweep's folder: its winner is the sweep's best while it holds."""

import json
from collections.abc import Sequence
from typing import Any

from unetpp.config.dilations import Dilation
from unetpp.core.storage import open_storage
from unetpp.tuning.results.leaderboard import LeaderRow, best_row, complete_rows

__all__ = [
    "CONFIRM_FOLDER",
    "called_best",
    "candidate_key",
    "confirmed_key",
    "holds",
    "network_name",
    "read_confirmed",
    "winner_run",
    "write_confirmed",
]

CONFIRM_FOLDER = "confirm"
_RESULT = f"{CONFIRM_FOLDER}/result.json"


def write_confirmed(sweep_uri: str, result: dict[str, Any]) -> None:
    """Replace what an earlier confirmation found."""
    open_storage(sweep_uri).write(_RESULT, json.dumps(result, indent=1).encode())


def read_confirmed(sweep_uri: str) -> dict[str, Any] | None:
    """What the last confirmation found, see `confirm`; None if there was none."""
    storage = open_storage(sweep_uri)
    if not storage.exists(_RESULT):
        return None
    result: dict[str, Any] = json.loads(storage.read(_RESULT))
    return result


def holds(confirmed: dict[str, Any], rows: Sequence[LeaderRow]) -> bool:
    """Whether its candidates are still the sweep's best: a sweep that went on may have found better ones."""
    candidates = {confirmed_key(found) for found in confirmed["candidates"]}
    best = complete_rows(rows)[: len(candidates)]
    return candidates == {(row.trial, *row.network) for row in best}


def confirmed_key(found: dict[str, Any]) -> tuple[int, int, Dilation | None]:
    """Trial, level and dilations of a confirmed candidate, as a row has them."""
    dilation = found.get("dilation")
    return found["trial"], found["level"], None if dilation is None else tuple(dilation)


def candidate_key(trial: int, level: int, dilation: Dilation | None) -> str:
    """Names a candidate in JSON: its trial, and its network where the trial has several."""
    return str(trial) if dilation is None else f"{trial}-{network_name(level, dilation)}"


def network_name(level: int, dilation: Dilation) -> str:
    """Names one network of a trial in files."""
    return f"level{level}-dilation{'.'.join(map(str, dilation))}"


def called_best(rows: Sequence[LeaderRow], confirmed: dict[str, Any] | None) -> LeaderRow | None:
    """The row that a confirmation found to be best, while it holds; otherwise see `best_row`."""
    if confirmed is None or not holds(confirmed, rows):
        return best_row(rows)
    winner = confirmed_key(confirmed["candidates"][0])
    return next(row for row in rows if (row.trial, *row.network) == winner)


def winner_run(sweep_uri: str, confirmed: dict[str, Any]) -> str:
    """URI of the run that stands for the winner: trained with a seed that nothing was selected on."""
    return f"{sweep_uri.rstrip('/')}/{confirmed['candidates'][0]['run']}"
