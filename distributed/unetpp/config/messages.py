"""Validation errors of pydantic rewritten as "key=value: rule; fix" lines."""

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from unetpp.config.fields import dotted_fields

__all__ = ["explain_validation"]

_TYPES = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "less_than_equal": ("le", "at most"),
    "greater_than": ("gt", "above"),
    "less_than": ("lt", "below"),
}


def explain_validation(error: ValidationError) -> list[str]:
    """One line per field; the alternatives of a union are joined by "or"."""
    lines: list[str] = []
    rules: dict[str, list[str]] = {}
    values: dict[str, Any] = {}
    for problem in error.errors(include_url=False):
        key = _key(problem["loc"])
        if problem["type"] == "value_error":
            lines += str(problem["ctx"]["error"]).splitlines()
            continue
        rules.setdefault(key, []).append(_rule(problem))
        # A tuple's problem names one entry; the value shown is the first one reported.
        values.setdefault(key, problem["input"])
    for key, alternatives in rules.items():
        lines.append(f"{key}={values[key]} must be {' or '.join(_unique(alternatives))}")
    return lines


def _key(loc: tuple[int | str, ...]) -> str:
    """The field a problem belongs to; what follows names a union's member or a tuple's entry."""
    for length in range(len(loc), 0, -1):
        key = ".".join(map(str, loc[:length]))
        if key in dotted_fields():
            return key
    return ".".join(map(str, loc))


def _rule(problem: Any) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        fix = f"; use {context[name]:g}" if name in ("ge", "le") else ""
        return f"{words} {context[name]:g}{fix}"
    if kind == "literal_error":
        words = context["expected"].replace("'", "").replace(" or ", ", ")
        return f"one of {words}" if "," in words else words
    if kind in ("missing", "too_long", "too_short") and problem["loc"]:
        return "a list of two entries"
    for name, words in _TYPES.items():
        if kind.startswith(name):
            return words
    return str(problem["msg"])


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
