"""The model as a Ray Serve application: HTTP in and out, batches, limits, metrics.

    POST /predict?format=png|rle|polygons    body: an image file; answer: its mask
    GET  /health                             what the model is

Every answer that is no mask is a JSON object with `error`.
"""

import asyncio
import json
import logging
import math
import socket
import time
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig
from ray.util.metrics import Counter, Histogram
from starlette.requests import Request
from starlette.responses import Response

from unetpp.core.errors import InputError, UserError
from unetpp.core.process_memory import keep_freed_memory
from unetpp.serving.answers import check_form
from unetpp.serving.options import ServeOptions
from unetpp.serving.segmenter import RequestError, Segmentable, Segmenter, is_allowed

__all__ = ["start", "stop"]

_NAME = "unetpp"
_MIB = 2**20
_LATENCY_BOUNDS_S = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]


@dataclass(frozen=True)
class _Settings:
    """What a replica is given."""

    model: str
    options: ServeOptions
    digest: str | None
    """Of the token that requests must carry; None asks for none."""
    threads: int


class _Replica:
    """Answers requests with one model; batches form inside Ray Serve."""

    def __init__(self, settings: _Settings) -> None:
        torch.set_num_threads(settings.threads)
        keep_freed_memory()
        options = settings.options
        self._settings = settings
        self._segmenter = Segmenter(settings.model, options.level, options.max_megapixels)
        self._requests = Counter(
            "unetpp_serve_requests", description="Requests by HTTP status.", tag_keys=("status",)
        )
        self._seconds = Histogram(
            "unetpp_serve_seconds",
            description="Seconds of an answered request.",
            boundaries=_LATENCY_BOUNDS_S,
        )
        self._batched.set_max_batch_size(options.max_batch)
        self._batched.set_batch_wait_timeout_s(options.batch_wait_ms / 1000)

    async def __call__(self, request: Request) -> Response:
        started_s = time.perf_counter()
        try:
            response = await self._respond(request)
        except RequestError as error:
            body = json.dumps({"error": str(error)})
            response = Response(body, status_code=error.status, media_type="application/json")
        self._requests.inc(tags={"status": str(response.status_code)})
        self._seconds.observe(time.perf_counter() - started_s)
        return response

    async def _respond(self, request: Request) -> Response:
        path, method = request.url.path, request.method
        if (method, path) == ("GET", "/health"):
            return Response(json.dumps(self._segmenter.describe()), media_type="application/json")
        if path not in ("/health", "/predict"):
            raise RequestError(404, f"there is no {path}; POST an image to /predict, or GET /health")
        if (method, path) != ("POST", "/predict"):
            raise RequestError(405, f"{method} {path} is not answered; POST an image to /predict")
        if not is_allowed(request.headers.get("authorization", ""), self._settings.digest):
            raise RequestError(
                401, "the token is missing or wrong; send the header Authorization: Bearer TOKEN"
            )
        form = request.query_params.get("format", "png")
        try:
            check_form(form)
        except InputError as error:
            raise RequestError(400, str(error)) from error
        data = await self._body(request)
        image = await asyncio.to_thread(self._segmenter.decode, data)
        try:
            body, media_type = await self._batched((image, form))
        except InputError as error:
            raise RequestError(422, str(error)) from error
        return Response(body, media_type=media_type)

    async def _body(self, request: Request) -> bytes:
        limit = int(self._settings.options.max_body_mib * _MIB)
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise RequestError(413, f"the request exceeds the limit of {limit / _MIB:g} MiB")
            parts.append(part)
        return b"".join(parts)

    @serve.batch  # type: ignore[untyped-decorator]
    async def _batched(self, asked: list[tuple[Segmentable, str]]) -> list[tuple[bytes, str]]:
        images, forms = zip(*asked, strict=True)
        return await asyncio.to_thread(self._segmenter.answer, images, forms)


def start(model: str, options: ServeOptions, digest: str | None, *, threads: int) -> str:
    """Start the application on a connected Ray and return its URL once every replica answers.

    Args:
        model: a run's folder or URI, or a file that `export` wrote.
        options: address, size and limits.
        digest: of the token that requests must carry, see `token_digest`; None asks for none.
        threads: of each replica.

    Raises:
        UserError: the port is taken, or a replica cannot load the model.
    """
    port = options.port or _free_port(options.host)
    _require_free(options.host, port)
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    quiet = LoggingConfig(log_level=logging.ERROR, enable_access_log=False)
    serve.start(
        proxy_location="HeadOnly",
        http_options=HTTPOptions(host=options.host, port=port),
        logging_config=quiet,
    )
    deployment: Any = serve.deployment(
        name=_NAME,
        num_replicas=options.replicas,
        max_ongoing_requests=2 * options.max_batch,
        max_queued_requests=options.max_queued,
        ray_actor_options={"num_cpus": 1, "num_gpus": _gpus(options.replicas)},
        logging_config=quiet,
    )(_Replica)
    application = deployment.bind(_Settings(model, options, digest, threads))
    try:
        serve.run(application, name=_NAME, route_prefix="/")
    except RuntimeError as error:
        raise UserError(f"the model could not be served: {error}") from error
    return f"http://{options.host}:{port}"


def stop(*, remains: bool) -> None:
    """End the application once what it has begun is answered.

    Args:
        remains: Ray goes on afterwards: Serve itself is ended where it has no other application.
    """
    serve.delete(_NAME)
    if remains and not serve.status().applications:
        serve.shutdown()


def _gpus(replicas: int) -> float:
    """Of each replica, where the cluster has some; several share one."""
    found = float(ray.cluster_resources().get("GPU", 0.0))
    return min(1.0, math.floor(1000 * found / replicas) / 1000)


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _require_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(
                f"--port {port} of {host} cannot be used: {error.strerror}; use --port 0"
            ) from error
