"""Commands as they are shown to people: a shell takes them as they are."""

import shlex

__all__ = ["shown_command"]


def shown_command(*words: object) -> str:
    """`unetpp` with these words, each quoted where a shell needs it."""
    return shlex.join(["unetpp", *map(str, words)])
