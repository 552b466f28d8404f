"""Validation errors of pydantic rewritten as "key=value: rule; fix" lines."""

from collections.abc import Mapping
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


def explain_validation(error: ValidationError, given: Mapping[str, Any]) -> list[str]:
    """One line per field; the alternatives of a union are joined by "or".

    Args:
        given: the values that were validated, by their dotted keys.
    """
    lines: list[str] = []
    problems: dict[str, list[Any]] = {}
    for problem in error.errors(include_url=False):
        if problem["type"] == "value_error":
            lines += str(problem["ctx"]["error"]).splitlines()
        else:
            problems.setdefault(_key(problem["loc"]), []).append(problem)
    for key, found in problems.items():
        value = given.get(key, found[0]["input"])
        lines.append(f"{key}={value} must be {' or '.join(_alternatives(found))}")
    return lines


def _alternatives(problems: list[Any]) -> list[str]:
    """What each member of a union asks for; of a value out of range its type is right for one of them."""
    out_of_range = [problem for problem in problems if problem["type"] in _BOUNDS]
    words = [problem for problem in problems if problem["type"] == "literal_error"]
    return list(dict.fromkeys(map(_rule, [*out_of_range, *words] if out_of_range else problems)))


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
        entries = " in every entry" if isinstance(problem["loc"][-1], int) else ""
        fix = f"; use {context[name]:g}" if name in ("ge", "le") else ""
        return f"{words} {context[name]:g}{entries}{fix}"
    if kind == "literal_error":
        words = context["expected"].replace("'", "").replace(" or ", ", ")
        return f"one of {words}" if "," in words else words
    if kind == "too_short":
        return f"a list of at least {context['min_length']}"
    if kind in ("missing", "too_long") and problem["loc"]:
        return "a list of two entries"
    for name, words in _TYPES.items():
        if kind.startswith(name):
            return words
    return str(problem["msg"])
