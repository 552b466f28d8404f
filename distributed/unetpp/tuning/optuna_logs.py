"""Optuna's log lines sent the way of the program's own."""

import logging

import optuna

__all__ = ["route_logs"]


def route_logs() -> None:
    """Hand Optuna's warnings to the `unetpp` handlers; its notes on each trial repeat the leaderboard."""
    optuna.logging.disable_default_handler()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logger = logging.getLogger("optuna")
    # The parent looks its handlers up on every record, so handlers set later serve too.
    logger.parent = logging.getLogger("unetpp")
    logger.propagate = True
