"""unetpp plan: what a training and a sweep would do here, on a cluster, or on machines that are described."""

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unetpp.api.progress.watcher import print_decisions
from unetpp.cli.terminal.output import Json, emit
from unetpp.cli.verbs.train import split_arguments

if TYPE_CHECKING:
    from unetpp.config import Hardware, RunConfig
    from unetpp.config.planning.outlook import Outlook
    from unetpp.config.planning.timed.facts import PlanFacts
    from unetpp.core.manifest import Manifest

__all__ = ["register"]

_GIB = 2**30
_COLUMNS = (
    ("command", "verb"),
    ("workers", "workers"),
    ("at once", "concurrent"),
    ("device", "device"),
    ("batch", "batch_size"),
    ("precision", "precision"),
    ("CPUs a worker", "cpus_per_worker"),
    ("needs, GiB", "needed_gib"),
    ("has, GiB", "memory_gib"),
    ("fits", "fits"),
)


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def plan(
        arguments: Annotated[
            list[str] | None, typer.Argument(metavar="[CONFIG.yaml] key=value ...", help="As for train.")
        ] = None,
        node: Annotated[
            list[str] | None,
            typer.Option(
                help='Machines in place of those at scale.address or this one: "16 x cpus=128 gpus=8 '
                'memory_gib=1024 gpu_memory_gib=80".'
            ),
        ] = None,
        dataset: Annotated[
            str, typer.Option(help="Images in place of data.uri: ROWSxHEIGHTxWIDTHxCHANNELS.")
        ] = "",
        workers: Annotated[
            list[int] | None, typer.Option(help="A row each, in place of scale.workers; may be repeated.")
        ] = None,
        json: Json = False,
    ) -> None:
        """Show what auto decides, and how much runs at once, without starting anything."""
        from unetpp.config import load_config, replace
        from unetpp.config.planning.outlook import outlook

        path, overrides = split_arguments(arguments or [])
        config = load_config(path, overrides)
        configs = [replace(config, {"scale.workers": count}) for count in workers or []] or [config]
        manifest, facts, rows = *_dataset(config, dataset), []
        with _hardware(config, node or []) as (hardware, configs_at):
            for each in configs:
                for verb in ("train", "tune"):
                    found = outlook(replace(each, configs_at), manifest, hardware, verb, facts)
                    rows.append(_row(verb, found))
                    if verb == "train" and len(configs) == 1 and not json:
                        print_decisions(found.decisions)
        if json:
            emit({"plans": rows}, json=True)
        else:
            sys.stdout.write(_table(rows))


def _dataset(config: "RunConfig", dataset: str) -> "tuple[Manifest, PlanFacts]":
    from unetpp.config.planning.described import described_dataset
    from unetpp.config.planning.timed.facts import PlanFacts, installed_encoders
    from unetpp.core.errors import ConfigError
    from unetpp.core.storage import open_storage

    if dataset:
        return described_dataset(dataset), PlanFacts(encoders=installed_encoders())
    if not config.data.uri:
        raise ConfigError("a plan needs a dataset: data.uri=URI, or --dataset 20000x256x256x3")
    from unetpp.data.dataset.manifests import load_manifest
    from unetpp.data.dataset.mask_facts import plan_facts

    storage = open_storage(config.data.uri)
    manifest = load_manifest(storage)
    return manifest, plan_facts(config.train, storage, manifest)


@contextlib.contextmanager
def _hardware(config: "RunConfig", nodes: list[str]) -> Iterator[tuple["Hardware", dict[str, Any]]]:
    """The machines, and what must be set so that described ones are taken for a cluster."""
    from unetpp.config.planning.described import described_hardware

    if nodes:
        yield described_hardware(nodes), {"scale.address": "described"}
        return
    from unetpp.api.machines import hardware_for

    with hardware_for(config.scale) as hardware:
        yield hardware, {}


def _row(verb: str, found: "Outlook") -> dict[str, Any]:
    config = found.config
    workers = config.scale.workers
    known = found.memory_bytes is not None
    return {
        "verb": verb,
        "workers": workers if isinstance(workers, int) else "{}-{}".format(*workers),
        "concurrent": found.concurrent,
        "device": f"{config.scale.gpus_per_worker:g} GPU" if config.scale.gpu else "CPU",
        "batch_size": config.data.batch_size,
        "precision": config.train.precision,
        "cpus_per_worker": config.scale.cpus_per_worker,
        "needed_gib": round(found.needed_bytes / _GIB, 1),
        "memory_gib": round(found.memory_bytes / _GIB, 1) if found.memory_bytes is not None else None,
        "fits": found.shortage or ("yes" if known else "no limit known"),
    }


def _table(rows: list[dict[str, Any]]) -> str:
    """Markdown, which reads well in a terminal too."""
    cells = [[name for name, _ in _COLUMNS], ["---"] * len(_COLUMNS)]
    cells += [[_shown(row[key]) for _, key in _COLUMNS] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return (
        f"{value:,g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )
