"""How Ray Data executes whatever it is used for here: packing, reading, predicting."""

import logging

from ray.data import DataContext

__all__ = ["quiet_context"]


def quiet_context(*, preserve_order: bool) -> DataContext:
    """The context of this process's executions, set so that they print nothing; for the caller to set more.

    Args:
        preserve_order: whether results come in the order of their inputs.
    """
    # Two lines at each execution's start and end would drown what a verb prints.
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.use_datasource_v2 = False
    context.execution_options.preserve_order = preserve_order
    return context
