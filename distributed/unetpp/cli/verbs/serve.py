"""unetpp serve: a trained network behind HTTP."""

import contextlib
from typing import Annotated

import typer

from unetpp.cli.terminal.output import emit, note
from unetpp.serving.options import TOKEN_VARIABLE, ServeOptions

__all__ = ["register"]

_DEFAULT = ServeOptions()


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def serve(
        model: Annotated[
            str, typer.Argument(metavar="MODEL", help="A run's folder or URI, or an exported file.")
        ],
        level: Annotated[int | None, typer.Option(help="Head to use [default: the deepest].")] = None,
        host: Annotated[
            str, typer.Option(help=f"Address to listen at; another needs {TOKEN_VARIABLE}.")
        ] = _DEFAULT.host,
        port: Annotated[int, typer.Option(help="0 takes a free port.")] = _DEFAULT.port,
        replicas: Annotated[int, typer.Option(help="Processes that predict.")] = _DEFAULT.replicas,
        max_batch: Annotated[int, typer.Option(help="Images of one batch.")] = _DEFAULT.max_batch,
        batch_wait_ms: Annotated[
            float, typer.Option(help="Longest wait for others to join a batch.")
        ] = _DEFAULT.batch_wait_ms,
        max_queued: Annotated[
            int, typer.Option(help="Waiting requests; more are answered 503.")
        ] = _DEFAULT.max_queued,
        max_megapixels: Annotated[float, typer.Option(help="Largest image.")] = _DEFAULT.max_megapixels,
        max_body_mib: Annotated[float, typer.Option(help="Largest request.")] = _DEFAULT.max_body_mib,
        address: Annotated[
            str | None, typer.Option(metavar="ADDRESS", help="Ray cluster to serve on [default: here].")
        ] = None,
        json: Annotated[
            bool, typer.Option("--json", help="Print one JSON object, with the URL, when it serves.")
        ] = False,
    ) -> None:
        """Answer images sent to /predict with their masks, until Ctrl-C.

        curl --data-binary @image.png URL/predict > mask.png; ?format=rle or polygons gives JSON.
        """
        from unetpp.api.serving import serve as serve_model
        from unetpp.core.logs import setup_logging

        setup_logging("WARNING")
        with serve_model(
            model,
            address=address,
            level=level,
            host=host,
            port=port,
            replicas=replicas,
            max_batch=max_batch,
            batch_wait_ms=batch_wait_ms,
            max_queued=max_queued,
            max_megapixels=max_megapixels,
            max_body_mib=max_body_mib,
        ) as url:
            emit({"url": url}, json=json)
            note("Ctrl-C ends it")
            _wait()
        note("ended")


def _wait() -> None:
    """Until Ctrl-C or SIGTERM."""
    import signal
    import threading

    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with contextlib.suppress(KeyboardInterrupt):
        ended.wait()
