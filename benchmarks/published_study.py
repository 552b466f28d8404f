"""What it costs to keep a sweep's study in a bucket: snapshots of a file against an object an operation.

    python benchmarks/published_study.py --trials 200 --epochs 50

The bucket is a local `rclone serve s3`. The second way is that of Optuna's JournalStorage on storage that
cannot append: each operation is an object of its own, and a resume reads them all. A part of them is timed.
"""

import argparse
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
from common import markdown, s3_server

from unetpp.core.storage import Storage, open_storage
from unetpp.tuning.study.file import STUDY_FILE, snapshot
from unetpp.tuning.study.levels import LevelResult, dump_levels
from unetpp.tuning.study.storage import open_storage_url

_SERVER = ("--dir-cache-time", "5m")
"""Without, each small object makes the server list its folder again, at the journal's expense."""
_TIMED = 200
_OPERATIONS_A_TRIAL, _OPERATIONS_AN_EPOCH = 5, 4
"""Made, two parameters, its run, its end; the sweep's time, the trial's time, the value, all levels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=50)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, s3_server(None, *_SERVER) as environment:
        os.environ.update(environment)
        storage = open_storage("s3://bench/sweep")
        file = write_study(Path(folder) / STUDY_FILE, arguments.trials, arguments.epochs)
        taken = Path(folder) / "snapshot"
        snapshot_s = median_s(lambda: snapshot(file, taken))
        upload_s = median_s(lambda: storage.put(taken, STUDY_FILE))
        download_s = median_s(lambda: storage.get(STUDY_FILE, taken))
        put_s, get_s = object_s(storage)
        size_mib = file.stat().st_size / 2**20
    print(f"{arguments.trials} trials x {arguments.epochs} epochs: {size_mib:.1f} MiB at the end, ", end="")
    print(f"the last snapshot {snapshot_s:.3f} s to take and {upload_s:.3f} s to upload")
    count = arguments.trials * (_OPERATIONS_A_TRIAL + _OPERATIONS_AN_EPOCH * arguments.epochs)
    at_once, each_s = 2 * arguments.trials, snapshot_s + upload_s
    header = ("way", "requests while it runs", "s the driver waits", "requests to resume", "s to resume")
    in_background = f"{at_once}, and one in {max(3.0, 30 * each_s):.0f} s in the background"
    rows = [
        ("snapshots", in_background, f"{at_once * each_s / 2:.0f}", 1, f"{download_s:.2f}"),
        ("an object an operation", count, f"{count * put_s:.0f}", count, f"{count * get_s:.0f}"),
    ]
    print(markdown(header, rows))


def write_study(file: Path, trials: int, epochs: int) -> Path:
    """A study as a sweep of networks of depth four leaves it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=open_storage_url(f"sqlite:///{file}"), direction="maximize")
    levels = [LevelResult(k, 0.9, 0.01 * k, 10_000 * k, 1_000_000 * k) for k in range(1, 5)]
    lr = optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True)
    study.add_trial(
        optuna.trial.create_trial(
            value=0.9,
            params={"optim.lr": 0.01},
            distributions={"optim.lr": lr},
            intermediate_values=dict.fromkeys(range(1, epochs + 1), 0.9),
            user_attrs={f"levels:{epoch}": dump_levels(levels) for epoch in range(1, epochs + 1)},
        )
    )
    with closing(sqlite3.connect(file)) as database, database:
        for number in range(2, trials + 1):
            # The rows of the first trial again: through Optuna each is a transaction.
            copy_rows(database, "trials", {"trial_id": number, "number": number - 1})
            for kind in ("params", "values", "intermediate_values", "user_attributes"):
                copy_rows(database, f"trial_{kind}", {"trial_id": number})
    return file


def copy_rows(database: sqlite3.Connection, table: str, changed: dict[str, int]) -> None:
    """Insert the first trial's rows with other values; a key of their own is given anew."""
    described = database.execute(f"pragma table_info({table})").fetchall()
    values = [
        f":{name}" if name in changed else "null" if is_key else f'"{name}"'
        for _, name, _, _, _, is_key in described
    ]
    database.execute(
        f"insert into {table} select {', '.join(values)} from {table} where trial_id = 1", changed
    )


def object_s(storage: Storage) -> tuple[float, float]:
    """Seconds to write and to read one small object."""
    begun_s = time.perf_counter()
    for number in range(_TIMED):
        storage.write(f"journal/{number:08d}", b"x" * 200)
    written_s = time.perf_counter()
    for number in range(_TIMED):
        storage.read(f"journal/{number:08d}")
    return (written_s - begun_s) / _TIMED, (time.perf_counter() - written_s) / _TIMED


def median_s(action: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        begun_s = time.perf_counter()
        action()
        times.append(time.perf_counter() - begun_s)
    return sorted(times)[1]


if __name__ == "__main__":
    main()
