"""Which nodes a label selector means, in the language of Ray's `label_selector`: pure data, no Ray.

A selector gives each label `value`, `!value`, `in(a, b)` or `!in(a, b)`; a node has to satisfy all of them.
"""

import re
from collections.abc import Mapping

from unetpp.config.run import RunConfig
from unetpp.core.errors import ConfigError

__all__ = ["require_labelled_cluster", "selects"]

_ONE_OF = re.compile(r"in\((.*)\)")


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a node with these labels satisfies the selector; a label it lacks differs from every value."""
    return all(_satisfies(labels.get(name), condition) for name, condition in selector.items())


def require_labelled_cluster(config: RunConfig) -> None:
    """Refuse labels where Ray starts in this process, whose one node has none.

    Raises:
        ConfigError: `scale.labels` or `data.labels` without `scale.address`.
    """
    for field, selector in (("scale.labels", config.scale.labels), ("data.labels", config.data.labels)):
        if selector and config.scale.address is None:
            raise ConfigError(
                f"{field}={selector} chooses among a cluster's nodes; set scale.address, or leave it out"
            )


def _satisfies(value: str | None, condition: str) -> bool:
    negated, condition = condition.startswith("!"), condition.removeprefix("!")
    one_of = _ONE_OF.fullmatch(condition)
    wanted = [entry.strip() for entry in one_of.group(1).split(",")] if one_of else [condition]
    return (value in wanted) != negated
