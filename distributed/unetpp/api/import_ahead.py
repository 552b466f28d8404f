"""Imports that overlap with the start of Ray's processes, for which the driver waits."""

import importlib
import threading

__all__ = ["import_ahead"]


def import_ahead(*modules: str) -> None:
    """Import modules in a thread; an import of the same elsewhere waits for it, and meets its errors itself.

    Only libraries of which Ray's start imports no part: two threads inside one another's packages would find
    them half done.
    """
    threading.Thread(target=_import, args=(modules,), name="import-ahead", daemon=True).start()


def _import(modules: tuple[str, ...]) -> None:
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception:  # raised again where it is needed
            return
