"""unetpp submit: run a verb on a cluster as a Ray job."""

import os
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unetpp.cli.remote.job_client import Address, connect, follow
from unetpp.cli.remote.verb_call import VerbCall, parse_call
from unetpp.cli.terminal.output import Json, emit, note
from unetpp.cli.verbs.train import split_arguments
from unetpp.core.commands import shown_command
from unetpp.core.milestones import SUBMITTED_AT

if TYPE_CHECKING:
    from unetpp.launch.dashboard_api import HeadInfo
    from unetpp.launch.submit.jobs import Jobs
    from unetpp.launch.submit.paths import JobPaths

__all__ = ["register"]

_COMMAND = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""Options after the verb are the verb's."""
_JOIN = "scale.address=auto"
"""Of a job's own process: the cluster that it was submitted to."""
_SHOWN_VARIABLES = ("UNETPP_DEBUG", "UNETPP_LOG_LEVEL")
"""What decides how much a command says decides it for its job, too."""


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command(context_settings=_COMMAND)
    def submit(
        command: Annotated[list[str], typer.Argument(metavar="VERB ARGS...", help="As they run here.")],
        address: Address = None,
        no_wait: Annotated[bool, typer.Option("--no-wait", help="Return once the job is accepted.")] = False,
        working_dir: Annotated[
            Path | None, typer.Option(help="Folder that travels with the job [default: unetpp's checkout].")
        ] = None,
        env: Annotated[
            list[str] | None, typer.Option(help="Variable of this shell that the job gets; may be repeated.")
        ] = None,
        staging: Annotated[
            str | None, typer.Option(help="Folder or URI for uploads of 100 MiB and more.")
        ] = None,
        gpus: Annotated[
            float,
            typer.Option(
                min=0, help="GPUs for the job's own process, which then evaluates or predicts alone."
            ),
        ] = 0.0,
        json: Json = False,
    ) -> None:
        """Run train, tune, data pack, evaluate or predict on a cluster, with the code that lies here.

        The job's log is followed; Ctrl-C leaves the job running.
        """
        started_s = time.monotonic()
        json = json or "--json" in command
        call = _parse([word for word in command if word != "--json"])
        options = _Options(working_dir, _variables(env or []), staging, gpus)
        head, jobs = connect(address)
        job_id = _submit(call, head, jobs, options, json=json)
        note(f"submitted {job_id} in {time.monotonic() - started_s:.1f} s; watch it at {head.url}")
        if no_wait:
            note(f"follow it: {shown_command('jobs', 'logs', '-f', job_id)}")
            emit({"job_id": job_id}, json=json)
            return
        follow(jobs, job_id, json=json)


@dataclass(frozen=True)
class _Options:
    working_dir: Path | None
    variables: Mapping[str, str]
    staging: str | None
    gpus: float


def _parse(tokens: list[str]) -> VerbCall:
    from unetpp.cli.main import build_app
    from unetpp.core.errors import UserError
    from unetpp.launch.submit.paths import SUBMITTABLE

    call = parse_call(build_app(), tokens)
    if call.words not in SUBMITTABLE:
        known = ", ".join(" ".join(words) for words in SUBMITTABLE)
        raise UserError(f"submit runs one of {known}; it cannot run {' '.join(call.words)}")
    return call


def _variables(names: Sequence[str]) -> dict[str, str]:
    from unetpp.core.errors import UserError
    from unetpp.launch.submit.runtime_env import check_environment

    missing = [name for name in names if name not in os.environ]
    if missing:
        raise UserError(f"--env {missing[0]} must name a variable of this shell; export it, or leave it out")
    variables = {name: os.environ[name] for name in names}
    check_environment(variables)
    return variables


def _submit(call: VerbCall, head: "HeadInfo", jobs: "Jobs", options: _Options, *, json: bool) -> str:
    from unetpp.core.logs import redact
    from unetpp.core.storage import open_storage
    from unetpp.launch.submit.paths import JobPaths
    from unetpp.launch.submit.runtime_env import build_runtime_env
    from unetpp.launch.submit.submission import entrypoint, job_metadata, new_job_id
    from unetpp.launch.submit.upload import collect_upload, megabytes

    decide = JobPaths(same_machine=head.hostname == socket.gethostname(), neighbours=_neighbours(call))
    parameters, run_uri, config_hash = _decided(call, decide, options.gpus)
    command = entrypoint(head.python, call.words, call.arguments({**parameters, "json": json}))
    upload = collect_upload(options.working_dir, decide.inputs)
    job_id = new_job_id(call.words)
    shown = {name: os.environ[name] for name in _SHOWN_VARIABLES if name in os.environ}
    variables = {SUBMITTED_AT: f"{time.time():.3f}", **shown, **options.variables}
    with tempfile.TemporaryDirectory(prefix="unetpp-submit-") as folder:
        staging = open_storage(options.staging) if options.staging else None
        environment = build_runtime_env(upload, Path(folder), variables=variables, staging=staging)
        note(f"code: {len(upload.files)} files, {megabytes(upload.bytes)}: {upload.summary()}")
        jobs.submit(
            job_id,
            command,
            runtime_env=environment,
            metadata=job_metadata(call.words, redact(run_uri), config_hash, upload.version),
            num_gpus=options.gpus,
        )
    return job_id


def _neighbours(call: VerbCall) -> list[str]:
    """Files beside a search space that it reads; finding them checks the space, too."""
    if call.words != ("tune",) or _continued_sweep(call):
        return []
    from unetpp.tuning.space.files import read_sources

    return [name for name, _ in read_sources(Path(call.parameters["space"]))[1:]]


def _continued_sweep(call: VerbCall) -> bool:
    """Whether `tune` is given the folder of a sweep, which knows its own configuration."""
    return bool(call.parameters["resume"]) and not str(call.parameters["space"]).endswith(".py")


def _decided(call: VerbCall, decide: "JobPaths", gpus: float) -> tuple[dict[str, Any], str, str]:
    """Parameters as the job gets them, the URI of what it makes, and the configuration's hash."""
    from unetpp.config import config_hash, flatten, load_config
    from unetpp.launch.submit.paths import SUBMITTABLE, relocate
    from unetpp.launch.submit.submission import check_arguments

    parameters = relocate(SUBMITTABLE[call.words], call.parameters, decide)
    if call.words == ("data", "pack"):
        return {**parameters, "address": "auto"}, str(parameters["out"]), ""
    if call.words in (("predict",), ("evaluate",)):
        # A GPU for the job's own process is there to be used by it.
        alone = parameters["workers"] == 0 or (parameters["workers"] is None and gpus > 0)
        shared = {} if alone else {"address": "auto"}
        return {**parameters, **shared}, str(parameters["out"] or parameters["models"][0]), ""
    if call.words == ("tune",) and _continued_sweep(call):
        from unetpp.core.storage import open_storage
        from unetpp.tuning.kept_space import require_local

        sweep = decide.place(call.parameters["space"])
        require_local(open_storage(sweep))
        return {**parameters, "space": sweep, "arguments": [*parameters["arguments"], _JOIN]}, sweep, ""
    config = load_config(*split_arguments(call.parameters["arguments"] or ()))
    # A credential in the YAML file would travel with it and end in the run's folder.
    check_arguments([f"{key}={value}" for key, value in flatten(config).items()])
    out = decide.place(config.out)
    places = [f"out={out}", *([f"data.uri={decide.place(config.data.uri)}"] if config.data.uri else [])]
    # After all others, so that a relative path of the file is replaced, too.
    missing = [place for place in places if place not in parameters["arguments"]]
    parameters["arguments"] = [*parameters["arguments"], *missing, _JOIN]
    return parameters, config.model_copy(update={"out": out}).run_uri, config_hash(config)
