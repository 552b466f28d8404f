"""Fills the reference pages from the code while they are built, so that they cannot fall behind it.

A page holds a marker on a line of its own; `on_page_markdown` puts the generated text there.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import typer

from unetpp.cli.main import build_app
from unetpp.config import RunConfig, json_schema

__all__ = ["MARKERS", "commands", "fields", "on_page_markdown"]

_HELP_COLUMNS = 80
_TYPES = {
    "boolean": "true or false",
    "integer": "integer",
    "null": "null",
    "number": "number",
    "object": "map of text",
    "string": "text",
}
_LOWEST = {"minimum": "{:,} or more", "exclusiveMinimum": "above {:,}"}
_HIGHEST = {"maximum": "at most {:,}", "exclusiveMaximum": "below {:,}"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by MkDocs for every page."""
    for marker, generate in MARKERS.items():
        if marker in markdown:
            markdown = markdown.replace(marker, generate())
    return markdown


def fields() -> str:
    """A heading and a table for every section of the configuration, from its JSON schema."""
    schema = json_schema()
    blocks = []
    own: dict[str, Any] = {}
    for name, field in schema["properties"].items():
        if "$ref" in field:
            section = schema["$defs"][field["$ref"].rpartition("/")[2]]
            blocks.append(_table(name, section.get("description", ""), section["properties"]))
        else:
            own[name] = field
    return "\n\n".join([*blocks, _table("", "", own)])


def commands() -> str:
    """The help text of every verb."""
    root = typer.main.get_command(build_app())
    blocks = (f"## {path}\n\n```text\n{text}\n```" for path, text in _help_texts(root, "unetpp"))
    return "\n\n".join(blocks)


def _table(section: str, said: str, properties: Mapping[str, Any]) -> str:
    rows = ["| field | value | default | meaning |", "| --- | --- | --- | --- |"]
    defaults = RunConfig().model_dump(mode="json")
    for name, field in properties.items():
        key = f"{section}.{name}" if section else name
        default = _shown((defaults[section] if section else defaults)[name])
        value = _value(field)
        meaning = " ".join(field.get("description", "").split()).replace("*", r"\*")
        rows.append(f"| <span id='{key}'>`{key}`</span> | {value} | `{default}` | {meaning} |")
    heading = f"## {section}" if section else "## Where results go"
    return "\n\n".join(part for part in (heading, said, "\n".join(rows)) if part)


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if value != "" else '""'


def _value(field: Mapping[str, Any]) -> str:
    """Type and range, of each alternative and of the entries of a list."""
    if "anyOf" in field:
        texts = [_value(entry) for entry in field["anyOf"]]
        return (", or " if any("," in text for text in texts) else " or ").join(texts)
    return ", ".join(filter(None, (_type(field), _range(field))))


def _type(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field["type"] == "array":
        if "prefixItems" in field:
            return f"pair of {_value(field['prefixItems'][0])}"
        return f"list of {_value(field['items'])}"
    return _TYPES[field["type"]]


def _range(field: Mapping[str, Any]) -> str:
    bounds = (
        text.format(_whole(field[name])) for name, text in (_LOWEST | _HIGHEST).items() if name in field
    )
    return ", ".join(bounds)


def _whole(number: float) -> float:
    return int(number) if float(number).is_integer() else number


def _help_texts(command: Any, path: str, parent: Any = None) -> Iterator[tuple[str, str]]:
    context = command.make_context(path.split()[-1], [], parent=parent, resilient_parsing=True)
    context.terminal_width = context.max_content_width = _HELP_COLUMNS
    children = [command.get_command(context, name) for name in getattr(command, "commands", ())]
    if not children or parent is None:
        yield path, command.get_help(context)
    for child in children:
        yield from _help_texts(child, f"{path} {child.name}", context)


MARKERS: Mapping[str, Callable[[], str]] = {"<!-- commands -->": commands, "<!-- fields -->": fields}
