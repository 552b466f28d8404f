"""What a sweep's report says, as plain rows and text; no HTML."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

import yaml

from unetpp.config.dilations import Dilation
from unetpp.config.load import flatten
from unetpp.core.commands import shown_command
from unetpp.core.logs import redact
from unetpp.core.places import trial_uri
from unetpp.report.numbers import count_text, duration_text, percent, score, significant
from unetpp.report.sweep.data import Outcome, SweepData, TrialData
from unetpp.tuning.kept_space import resume_command
from unetpp.tuning.results.confirmed import candidate_key, confirmed_key
from unetpp.tuning.results.leaderboard import LeaderRow
from unetpp.tuning.study.exploits import Exploit
from unetpp.tuning.study.storage import shown_url

__all__ = [
    "METRIC_TITLES",
    "base_rows",
    "confirmed_rows",
    "confirmed_test",
    "cost_facts",
    "exploit_rows",
    "headline_cards",
    "leader_rows",
    "network_options",
    "network_text",
    "problem_rows",
    "sweep_commands",
    "trial_rows",
    "varied",
]

METRIC_TITLES = {
    "dice": "Dice",
    "iou": "IoU",
    "dice_per_image": "Dice per image",
    "iou_per_image": "IoU per image",
    "label_accuracy": "label accuracy",
    "dice_and_labels": "mean of Dice and label accuracy",
}
_SHOWN_ROWS = 20

Row = dict[str, Any]
Facts = list[tuple[str, str]]


def headline_cards(data: SweepData) -> list[tuple[str, str, str]]:
    """(label, value, note) of the numbers at the top."""
    title = METRIC_TITLES[data.config.tune.metric]
    cards: list[tuple[str, str, str]] = []
    if data.best is not None:
        found = f"trial {data.best.trial}, level {network_text(data.best)}"
        if data.confirmed is not None:
            found += ", confirmed with other seeds"
        cards.append((f"Best {title}", score(data.best.quality), found))
        default = next((t for t in data.trials if t.is_default and t.quality is not None), None)
        if default is not None and default.quality is not None:
            # A difference to what a stopped trial had reached would not be the sweep's gain.
            gain = f"best is {data.best.quality - default.quality:+.3f}"
            stopped = f"{default.outcome.lower()}, after epoch {default.epochs}"
            note = gain if default.outcome == "COMPLETE" else stopped
            cards.append(("Base configuration", score(default.quality), note))
    spent, most = _epochs(data.trials), _most_epochs(data)
    none = "trials go by minutes" if data.config.train.minutes else "none yet"
    seconds = sum(trial.seconds for trial in data.trials)
    cards += [
        ("Trials", f"{len(data.trials)} of {data.config.tune.trials}", _states(data.trials)),
        ("Epochs", _epochs_text(data), f"{percent(1 - spent / most)} not trained" if most else none),
        (
            "Training",
            duration_text(seconds) if seconds else "–",
            f"of all trials; {_wall(data)} on the clock",
        ),
    ]
    return cards


def leader_rows(data: SweepData) -> list[Row]:
    """The best rows; each is one network that can be had."""
    names = varied(data.trials)
    return [
        {
            "trial": row.trial,
            "level": row.level,
            "dilation": _entries(row.dilation),
            "state": row.state.lower() + _origin(row.inherits, row.exploits),
            "quality": score(row.quality),
            "latency": duration_text(row.latency_s),
            "params": count_text(row.params),
            "macs": count_text(row.macs),
            "settings": _settings(row.settings, names),
            "run": trial_uri("", row.trial),
            "best": row == data.best,
            "front": row in data.front,
        }
        for row in data.rows[:_SHOWN_ROWS]
    ]


def network_text(row: LeaderRow) -> str:
    """A row's level, with the dilations of its rows where the trial has several."""
    return str(row.level) if row.dilation is None else f"{row.level} at dilation {_entries(row.dilation)}"


def confirmed_rows(data: SweepData) -> list[Row]:
    """The candidates of a confirmation, best first, each beside the winner; empty without one."""
    if data.confirmed is None:
        return []
    quality = {(row.trial, *row.network): row.quality for row in data.rows}
    rows = []
    for found in data.confirmed["candidates"]:
        key = trial, level, dilation = confirmed_key(found)
        against = data.confirmed["against_winner"].get(candidate_key(*key))
        rows.append(
            {
                "trial": trial,
                "level": level,
                "dilation": _entries(dilation),
                "quality": score(quality[key]),
                "confirmed": score(found["dice_per_image"]),
                "seeds": ", ".join(map(str, found.get("seeds", []))),
                "against": "" if against is None else _against(against),
            }
        )
    return rows


def confirmed_test(data: SweepData) -> str:
    """The winner's score on the test split, empty if it has none."""
    test = {} if data.confirmed is None else data.confirmed.get("test", {})
    return f"{score(test['dice'])} over {test['rows']} images" if test else ""


def trial_rows(data: SweepData) -> list[Row]:
    """Every trial that was started."""
    names = varied(data.trials)
    return [
        {
            "trial": trial.number,
            "state": _state(trial),
            "epochs": trial.epochs,
            "quality": score(trial.quality),
            "time": duration_text(trial.seconds) if trial.seconds else "–",
            "settings": _settings(trial.settings, names),
        }
        for trial in data.trials
    ]


def exploit_rows(data: SweepData) -> list[Row]:
    """Every time that a trial went on with the weights of another one."""
    return [
        {
            "trial": trial.number,
            "epoch": found.epoch,
            "donor": found.donor,
            "changes": ", ".join(
                f"{name} {before:.4g} to {after:.4g}" for name, (before, after) in _numbers(found)
            ),
        }
        for trial in data.trials
        for found in trial.exploits
    ]


def _numbers(exploit: Exploit) -> list[tuple[str, tuple[float, float]]]:
    return [(name, pair) for name, pair in exploit.changed.items() if isinstance(pair[0], int | float)]


def problem_rows(data: SweepData) -> list[Row]:
    """Trials that failed or could not be run, with their cause."""
    names = varied(data.trials)
    return [
        {
            "trial": trial.number,
            "state": trial.outcome.lower(),
            "cause": redact(trial.cause) or "unknown",
            "settings": _settings(trial.settings, names),
        }
        for trial in data.trials
        if trial.outcome in ("FAIL", "INFEASIBLE")
    ]


def cost_facts(data: SweepData) -> Facts:
    """What the sweep took, and what stopping trials early saved."""
    timed = [trial.seconds for trial in data.trials if trial.seconds]
    if not timed:
        return []
    started = [trial.start_up_s for trial in data.trials if trial.start_up_s is not None]
    planned = "" if data.config.train.minutes else " had every trial been trained to the end"
    start_up = [("Start of a trial", f"{duration_text(median(started))} median")] if started else []
    return [
        ("All trials", f"{duration_text(sum(timed))} of training and validation"),
        ("A trial", f"{duration_text(sum(timed) / len(timed))} mean, {duration_text(max(timed))} longest"),
        *start_up,
        ("On the clock", f"{_wall(data)} from the first start to the last end, pauses included"),
        ("Epochs", f"{_epochs_text(data)}{planned}"),
        ("Stopped early", _saved(data)),
        *_next_hour(data),
    ]


def _next_hour(data: SweepData) -> Facts:
    if (found := data.next_hour) is None:
        return []
    told = (
        f"about {found.trials:.1f} trials: a better one with {percent(found.chance)} were all drawn alike, "
        f"{found.gain:+.4f} by the curve of the best so far"
    )
    return [("Another hour", told)]


def base_rows(data: SweepData) -> Facts:
    """Every field of the base configuration; storage URLs without passwords."""
    return [(name, _shown(name, value)) for name, value in flatten(data.config).items()]


def sweep_commands(data: SweepData) -> list[tuple[str, str]]:
    """(purpose, command) to copy."""
    commands: list[tuple[str, str]] = []
    if data.state == "unfinished":
        commands.append(("Continue the sweep, if nothing runs it", resume_command(data.uri)))
    if data.best is None:
        return commands
    run, level = data.best_run, network_options(data.best, confirmed=data.confirmed is not None)
    commands += [
        ("Score the winner on the test split", shown_command("evaluate", run, *level)),
        (
            "Segment a folder of images",
            shown_command("predict", run, "IMAGES", "--out", "masks", "--overlay", *level),
        ),
        ("Ship the network", shown_command("export", run, "--out", "model.safetensors", *level)),
        ("Curves of the winner's training", shown_command("report", run)),
    ]
    if data.best_config:
        fields = [f"{key}={_typed(value)}" for key, value in data.best_config.items()]
        again = shown_command("train", "out=winner", *fields)
        what = "last loss, from random weights" if data.best.exploits else "configuration"
        commands.append((f"Train once more with the winner's {what}", again))
    return commands


def network_options(best: LeaderRow, *, confirmed: bool) -> tuple[str | int, ...]:
    """Options that name the network of a row; a run that confirmation trained has one dilation."""
    if best.dilation is None or confirmed:
        return "--level", best.level
    return "--dilation", _entries(best.dilation)


def _state(trial: TrialData) -> str:
    if trial.same_as is not None:
        return f"as trial {trial.same_as}"
    return trial.outcome.lower() + _origin(trial.inherits, trial.exploits)


def _origin(inherits: int | None, exploits: Sequence[Exploit]) -> str:
    began = "" if inherits is None else f", from the weights of trial {inherits}"
    return began + "".join(
        f", with the weights of trial {found.donor} from epoch {found.epoch + 1} on" for found in exploits
    )


def _entries(dilation: Dilation | None) -> str:
    return "" if dilation is None else ",".join(map(str, dilation))


def varied(trials: Iterable[TrialData]) -> list[str]:
    """Parameters whose value is not the same in all trials, those of most trials first."""
    settings = [trial.settings for trial in trials if trial.settings]
    counts: dict[str, int] = {}
    for entry in settings:
        for name in entry:
            counts[name] = counts.get(name, 0) + 1
    names = [name for name in counts if any(entry.get(name) != settings[0].get(name) for entry in settings)]
    return sorted(names, key=lambda name: -counts[name])


def _against(found: dict[str, Any]) -> str:
    told = "" if found["distinguishable"] else ", not distinguishable"
    p_value = found.get("p_corrected", found["p_value"])  # files of earlier releases have no correction
    return (
        f"winner {found['mean_difference']:+.4f} [{found['ci_low']:+.4f}, {found['ci_high']:+.4f}], "
        f"p = {p_value:.2g}{told}"
    )


def _settings(settings: dict[str, Any], names: Sequence[str]) -> str:
    """Short, to compare rows by eye: fields without their section where that leaves them distinct."""
    fields = Counter(map(_field, names))
    return " ".join(
        f"{_field(name) if fields[_field(name)] == 1 else name}={_rounded(settings[name])}"
        for name in names
        if name in settings
    )


def _field(name: str) -> str:
    return name.partition(".")[2] or name


def _rounded(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else significant(value)


def _epochs(trials: Iterable[TrialData]) -> int:
    return sum(trial.epochs for trial in trials)


def _most_epochs(data: SweepData) -> int:
    launched = sum(trial.outcome not in ("INFEASIBLE", "REPEATED") for trial in data.trials)
    return launched * data.config.train.counted_epochs


def _epochs_text(data: SweepData) -> str:
    """Those that were trained, of those that trials had been given; by minutes nobody knows how many."""
    spent = f"{_epochs(data.trials)}"
    return spent if data.config.train.minutes else f"{spent} of {_most_epochs(data)}"


def _saved(data: SweepData) -> str:
    pruned = [trial for trial in data.trials if trial.outcome == "PRUNED"]
    planned = data.config.train.counted_epochs
    left = [planned - trial.epochs for trial in pruned]
    pace_s = [trial.seconds / max(trial.epochs, 1) for trial in pruned]
    saved_s = sum(epochs * seconds for epochs, seconds in zip(left, pace_s, strict=True))
    saved = f"; {sum(left)} epochs not trained, about {duration_text(saved_s)} at their own pace"
    return f"trials: {len(pruned)}" + (saved if pruned and planned else "")


def _states(trials: Sequence[TrialData]) -> str:
    words: dict[Outcome, str] = {
        "COMPLETE": "complete",
        "PRUNED": "stopped early",
        "RUNNING": "running",
        "FAIL": "failed",
        "INFEASIBLE": "infeasible",
        "REPEATED": "as an earlier one",
    }
    counts = [(sum(trial.outcome == outcome for trial in trials), word) for outcome, word in words.items()]
    return ", ".join(f"{count} {word}" for count, word in counts if count) or "none yet"


def _wall(data: SweepData) -> str:
    if data.started is None or data.ended is None:
        return "–"
    return duration_text((data.ended - data.started).total_seconds())


def _shown(name: str, value: Any) -> str:
    if name == "tune.storage" and value:
        return shown_url(value)
    if name == "tune.warm_start":
        return ", ".join(map(shown_url, value)) or "[]"
    return redact(significant(value))


def _typed(value: Any) -> str:
    """As `key=value` reads it back exactly."""
    if isinstance(value, str):
        return value
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()
