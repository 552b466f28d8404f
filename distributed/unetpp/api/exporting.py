"""An exported file with what belongs beside it: a model card and, of a search, its picture."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from unetpp.core.rundir import RunDir
from unetpp.inference.engines.registry import load_engine
from unetpp.inference.export import export_run
from unetpp.inference.targets.candidates import Target
from unetpp.inference.targets.export import export_best
from unetpp.inference.targets.search import MAX_DROP, Wanted

__all__ = ["MAX_DROP", "export_for", "export_one"]


def export_one(run_uri: str, out: Path, **options: Any) -> dict[str, Any]:
    """What `export_run` does, and the card."""
    return _with_card(run_uri, export_run(run_uri, out, **options))


def export_for(
    run_uri: str,
    out: Path,
    target: Target,
    *,
    max_drop: float,
    on_candidate: Callable[[str], None] = lambda _said: None,
    **options: Any,
) -> dict[str, Any]:
    """What `export_best` does, the card, and `<file>.svg`: Dice against speed of all candidates."""
    wanted = Wanted(target, max_drop, out.suffix)
    result = export_best(run_uri, out, wanted, on_candidate=on_candidate, **options)
    # matplotlib takes a second to import.
    from unetpp.report.export_target import target_svg

    picture = _beside(result, ".svg")
    picture.write_text(target_svg(result["table"], result["chosen"], max_drop))
    return _with_card(run_uri, {**result, "picture": str(picture)})


def _with_card(run_uri: str, result: dict[str, Any]) -> dict[str, Any]:
    from unetpp.report.model_card import model_card

    card, file = _beside(result, ".md"), Path(result["file"])
    card.write_text(model_card(RunDir(run_uri), load_engine(file).description, result, file.name))
    return {**result, "card": str(card)}


def _beside(result: dict[str, Any], suffix: str) -> Path:
    file = Path(result["file"])
    return file.with_name(file.name + suffix)
