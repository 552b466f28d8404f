"""One self-contained HTML page for one sweep."""

from pathlib import Path

from markupsafe import Markup

from unetpp.report.page import render_page, write_page
from unetpp.report.run.figures import bars_svg
from unetpp.report.sweep import sections
from unetpp.report.sweep.data import SweepData, TrialData, load_sweep_data
from unetpp.report.sweep.figures import curves_svg, history_svg, pareto_svg
from unetpp.report.sweep.parallel_coordinates import MAX_AXES, parallel_svg
from unetpp.tuning.results.importance import MIN_TRIALS

__all__ = ["render_sweep_report", "write_sweep_report"]


def write_sweep_report(sweep_uri: str, out: Path | None = None) -> str:
    """Write the page and return where; default `report.html` in the sweep's own folder, also in a bucket.

    Raises:
        InputError: no sweep there, or its study is gone.
        StorageError: the study's storage cannot be used.
    """
    data = load_sweep_data(sweep_uri)
    return write_page(render_sweep_report(data), data.uri, out)


def render_sweep_report(data: SweepData) -> str:
    """The page as text; it refers to nothing outside itself."""
    metric = sections.METRIC_TITLES[data.config.tune.metric]
    scored = [trial for trial in data.trials if trial.quality is not None]
    names = sections.varied(scored)
    return render_page(
        "sweep.html",
        title=data.config.tune.study_name or data.uri.rpartition("/")[2],
        data=data,
        metric=metric,
        headline=sections.headline_cards(data),
        leaders=sections.leader_rows(data),
        confirmed=sections.confirmed_rows(data),
        confirmed_test=sections.confirmed_test(data),
        figures={name: Markup(svg) for name, svg in _figures(data, scored, metric, names[:MAX_AXES]).items()},
        hidden_axes=max(len(names) - MAX_AXES, 0),
        min_trials=MIN_TRIALS,
        scored_trials=len(scored),
        cost=sections.cost_facts(data),
        trials=sections.trial_rows(data),
        exploits=sections.exploit_rows(data),
        problems=sections.problem_rows(data),
        commands=sections.sweep_commands(data),
        base=sections.base_rows(data),
    )


def _figures(data: SweepData, scored: list[TrialData], metric: str, names: list[str]) -> dict[str, str]:
    """By name; one that has nothing to show is absent."""
    if data.best is None:
        return {}
    figures = {
        "latency": pareto_svg(data.rows, "latency", metric),
        "params": pareto_svg(data.rows, "params", metric),
        "history": history_svg(data.trials, metric),
        "curves": curves_svg(data.trials, data.best.trial, metric),
    }
    if names and len(scored) > 1:
        figures["parallel"] = parallel_svg(scored, names, data.best.trial, metric)
    if data.importances:
        percents = [100 * share for share in data.importances.values()]
        figures["importances"] = bars_svg(list(data.importances), percents, x_label="importance in percent")
    return figures
