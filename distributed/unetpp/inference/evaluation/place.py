"""Where an evaluation is written, and under which name."""

from collections.abc import Sequence

from unetpp.core.rundir import RunDir
from unetpp.core.storage import Storage, open_storage
from unetpp.inference.engines.network import Network
from unetpp.inference.engines.registry import is_export
from unetpp.inference.evaluation.files import evaluation_name
from unetpp.inference.evaluation.options import EvaluateOptions

__all__ = ["evaluation_place"]


def evaluation_place(
    places: Sequence[str],
    network: Network,
    split_and_disturbance: tuple[str, str],
    options: EvaluateOptions,
) -> tuple[Storage, str]:
    """Storage and name.

    A run keeps its own evaluations. Those of several models lie in `FIRST-ensemble`, those of a file in
    `FILE-evaluated`, unless a place is given; each summary says which models it is of.
    """
    first, (split, disturbed) = places[0].rstrip("/"), split_and_disturbance
    is_run = len(places) == 1 and not is_export(first)
    is_deepest = is_run and network.level == RunDir(first).read_config()["model"]["depth"]
    level = network.level if is_run and not is_deepest else None
    name = evaluation_name(split, level, options.dilation, [*_marks(options), *filter(None, [disturbed])])
    if options.out is not None:
        return open_storage(options.out), name
    if is_run:
        return RunDir(first).storage, name
    return open_storage(f"{first}-{'evaluated' if len(places) == 1 else 'ensemble'}"), name


def _marks(options: EvaluateOptions) -> list[str]:
    marks = ["levels"] if options.averaging.levels else []
    marks += ["tta"] if options.averaging.tta else []
    if options.thresholds is not None:
        marks.append("threshold" + "-".join(f"{each:g}" for each in options.thresholds))
    if options.min_object_px > 1:
        marks.append(f"min{options.min_object_px}")
    return marks
