"""Export what suits a target best: search, choose, write, compare."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unetpp.inference.engines.engine import Description
from unetpp.inference.engines.registry import files_of
from unetpp.inference.export import compare_file, describe, file_bytes, refuse_existing
from unetpp.inference.targets.search import Measured, Wanted, choose, search
from unetpp.models.load import load_whole

__all__ = ["export_best"]


def export_best(
    run_uri: str,
    out: Path,
    wanted: Wanted,
    *,
    licence: str | None = None,
    overwrite: bool = False,
    on_candidate: Callable[[str], None] = lambda _said: None,
) -> dict[str, Any]:
    """Write the fastest file here that is as good as is asked for, after measuring all candidates.

    Args:
        run_uri: a run.
        out: the file; without an ending it gets that of the chosen engine.
        wanted: what the file is for.
        licence: see `export_run`.
        overwrite: replace a file that exists.
        on_candidate: told what is being measured.

    Returns:
        What `export_run` returns; target, max_drop, chosen (a row), speed_up over the full network in float32
        in PyTorch, and table: a row for each candidate, that one first.

    Raises:
        ConfigError: see `Wanted.check` and `candidates_for`.
        InputError: the dataset cannot be read or has no validation images, or no candidate is good enough.
        ExistsError: the file exists and must not be replaced.
    """
    wanted.check()
    refuse_existing(out, overwrite=overwrite)
    run = load_whole(run_uri)

    def described(level: int) -> Description:
        return describe(run_uri, run, {"level": level, "precision": "float32", "licence": licence})

    with tempfile.TemporaryDirectory(prefix="unetpp-target-") as folder:
        found = search(run, wanted, described, Path(folder), on_candidate=on_candidate)
        best = choose(
            [entry for entry in found if not wanted.suffix or entry.candidate.suffix == wanted.suffix],
            wanted.max_drop,
        )
        out = out.with_name(out.name + best.candidate.suffix) if not wanted.suffix else out
        refuse_existing(out, overwrite=overwrite)
        _move(best, out)
    return {
        "file": str(out),
        "level": best.candidate.level,
        **{key: rows[: best.candidate.level + 1] for key, rows in run.chosen.items()},
        "bytes": file_bytes(out),
        **compare_file(run, best.candidate.level, out),
        "target": wanted.target,
        "max_drop": wanted.max_drop,
        "chosen": best.row(),
        "speed_up": found[0].seconds / best.seconds,
        "table": [entry.row() for entry in found],
    }


def _move(best: Measured, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    for part in files_of(best.file):
        shutil.move(part, out.with_suffix(part.suffix))
