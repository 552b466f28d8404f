"""Notice that the machine of this process is about to be taken away, such as a spot instance."""

import logging
import time

import ray

from unetpp.compat.ray import draining_nodes
from unetpp.training.loop.session import Request

__all__ = ["DrainWatch"]

logger = logging.getLogger(__name__)

_EVERY_S = 2.0
"""Grace times are 30 s at least on the clouds that give notice."""


class DrainWatch:
    """Asks Ray now and then whether the node it is created on is being drained.

    Ray Train's own `get_preemption_info` waits for all ranks at each call; one rank's request is enough here.
    """

    def __init__(self) -> None:
        self._node_id = ray.get_runtime_context().get_node_id()
        self._asked_s = time.monotonic()
        self._noticed = False

    def request(self) -> Request:
        """SAVE once, when draining has begun."""
        if self._noticed or time.monotonic() - self._asked_s < _EVERY_S:
            return Request.GO_ON
        self._asked_s = time.monotonic()
        self._noticed = self._node_id in draining_nodes()
        if not self._noticed:
            return Request.GO_ON
        logger.warning("this machine is about to be taken away; saving a checkpoint")
        return Request.SAVE
