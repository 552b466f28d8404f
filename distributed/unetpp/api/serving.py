"""A model behind HTTP until it is stopped: check, connect, start."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from unetpp.config.planning.hardware import available_cpus
from unetpp.core.errors import InputError
from unetpp.launch.connect import connected
from unetpp.serving.options import TOKEN_VARIABLE, ServeOptions

__all__ = ["serve"]


@contextmanager
def serve(model: str | os.PathLike[str], *, address: str | None = None, **options: Any) -> Iterator[str]:
    """Answer images sent to `/predict` with their masks for the duration: `with serve(model) as url`.

    Args:
        model: a run's folder or URI, or a file that `export` wrote; on a cluster one that its nodes reach.
        address: of a running Ray cluster; None starts Ray in this process.
        options: fields of `ServeOptions`; the token is taken from the environment.

    Raises:
        UserError: there is no such model or level, an option is out of range, or the port is taken.
        InputError: the extra `serve` is missing.
    """
    place, chosen = os.fspath(model), ServeOptions(**options)
    token = os.environ.get(TOKEN_VARIABLE, "")
    chosen.check(has_token=bool(token))
    try:
        from unetpp.serving import ray_serve
    except ImportError as error:
        raise InputError(f"serving needs {error.name}: pip install 'unetpp[serve]'") from error
    from unetpp.serving.segmenter import Segmenter, token_digest

    # Loaded here as well: what is wrong with it is said before anything starts.
    Segmenter(place, chosen.level, chosen.max_megapixels)
    threads = max(1, available_cpus() // chosen.replicas)
    with connected(address, workers=chosen.replicas):
        digest = token_digest(token) if token else None
        try:
            yield ray_serve.start(place, chosen, digest, threads=threads)
        finally:
            ray_serve.stop(remains=address is not None)
