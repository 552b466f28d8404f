"""Reading an epoch of image-mask pairs from one S3 server: ours against other libraries, in one run.

Each reader has a process of its own and a consumer that touches one byte of every batch. Cold: its cache
is empty. Warm: a fresh process finds what the cold one left; start-up counts. Steady: the epoch after that,
in the same process. Prints the table of the README.

    python benchmarks/reading.py --work build/reading

    python benchmarks/reading.py --work build/reading --only verification memory trials utilisation

measures the other promises of the data engine, see reading_limits.py. The other libraries are optional,
see reading_libraries.py for how to install them; those that are missing are listed as such.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common import markdown, s3_server
from process_memory import MemorySampler
from reading_epoch import MAPPED, OURS, READERS
from reading_formats import (
    make_pngs,
    pack_arrow,
    pack_litdata,
    pack_mosaic,
    pack_ours,
    pack_small,
    pack_webdataset,
)

_PACKERS: dict[str, Callable[[Path, Path], None]] = {
    OURS: pack_ours,
    "small": pack_small,
    "WebDataset": pack_webdataset,
    "LitData": pack_litdata,
    "MosaicML Streaming": pack_mosaic,
}
_FOLDERS = {OURS: "ours", "WebDataset": "webdataset", "LitData": "litdata", "MosaicML Streaming": "mosaic"}
"""Of the readers' formats in the bucket."""
_SERVER = ("--etag-hash", "")
"""rclone would read and hash a whole object for every range of it that is asked for; object stores do not."""
_PHASES = (("cold", 1), ("warm", 2))
"""Epochs of a process each."""
_TIMEOUT_S = 240
_LIMIT_TIMEOUT_S = 500
_RANGE_BYTES = 16 * 2**20
"""Of a shard that is fetched in parts, see data/dataset/fetch.py."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", required=True, type=Path, help="folder for samples, formats and caches")
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--readers", nargs="*", default=list(READERS), choices=list(READERS))
    parser.add_argument("--cold", action="store_true", help="first epochs alone")
    parser.add_argument("--only", nargs="*", choices=list(_LIMITS), help="these instead of the readers")
    arguments = parser.parse_args()
    work: Path = arguments.work.resolve() / str(arguments.samples)
    formats = [OURS, "small"] if arguments.only else arguments.readers
    missing = prepare(work, arguments.samples, formats)
    spec = write_spec(work, arguments.samples, arguments.batch)
    found: dict[str, Any]
    if arguments.only:
        found = {name: limit(name, spec) for name in arguments.only}
    else:
        with s3_server(work / "server", *_SERVER) as environment:
            phases = _PHASES[:1] if arguments.cold else _PHASES
            found = {
                reader: missing.get(reader) or measure(reader, spec, environment, phases)
                for reader in arguments.readers
            }
        print(table(found))
    print(json.dumps({"samples": arguments.samples, "batch_size": arguments.batch, "found": found}))


def prepare(work: Path, samples: int, formats: Sequence[str]) -> dict[str, Any]:
    """Write those formats of these that are not there; returns why some cannot be."""
    make_pngs(work / "pngs", samples)
    missing = {}
    for name in formats:
        out = work / "server" / "bench" / _FOLDERS.get(name, name)
        if name in _PACKERS and not _is_done(out):
            print(f"packing {name}", flush=True)
            try:
                _PACKERS[name](work / "pngs", out)
            except ImportError as error:
                missing[name] = {"missing": str(error)}
                continue
            (work / f"{out.name}.done").touch()
    if MAPPED in formats and not (work / "arrow").exists():
        pack_arrow(work / "pngs", work / "arrow")
    return missing


def _is_done(out: Path) -> bool:
    done = (out.parents[2] / f"{out.name}.done").exists()
    if not done:
        shutil.rmtree(out, ignore_errors=True)
    return done


def write_spec(work: Path, samples: int, batch_size: int) -> Path:
    """What a reader's process is told."""
    spec = {
        "bucket": "s3://bench",
        "pngs": str(work / "pngs"),
        "arrow": str(work / "arrow"),
        "cache": str(work / "cache"),
        "batch_size": batch_size,
        "workers": os.cpu_count() or 1,
        "samples": samples,
        "window_bytes": 256 * 2**20,
        "trials": 8,
        "plan": {"cache_bytes": 2**35, "cache_dir": str(work / "cache" / "unetpp")},
    }
    path = work / "spec.json"
    path.write_text(json.dumps(spec))
    return path


def measure(
    reader: str, spec: Path, environment: dict[str, str], phases: Sequence[tuple[str, int]]
) -> dict[str, Any]:
    """A cold epoch in one process, a warm and a steady one in another."""
    cache = spec.parent / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir(parents=True)
    results: dict[str, Any] = {}
    for phase, epochs in phases:
        print(f"{reader}: {phase}", flush=True)
        found = _run(reader, spec, epochs, environment)
        if "epochs" not in found:
            return found
        results[phase] = found["epochs"][0]
        if epochs == 2:
            results["steady"] = found["epochs"][1]
        print(f"  {found['epochs']}", flush=True)
    shutil.rmtree(cache, ignore_errors=True)
    return results


def limit(name: str, spec: Path) -> dict[str, Any]:
    """One measurement of reading_limits.py, with what only its caller can see."""
    print(name, flush=True)
    work, cache, log = spec.parent, spec.parent / "cache", spec.parent / "server.log"
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir(parents=True)
    log.unlink(missing_ok=True)
    with s3_server(work / "server", *_SERVER, "-vv", "--log-file", str(log)) as environment:
        script = str(Path(__file__).parent / "reading_limits.py")
        with (work / f"{name}.log").open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, script, name, str(spec)], stdout=subprocess.PIPE, stderr=errors,
                env={**os.environ, **environment}, text=True,
            )  # fmt: skip
            with MemorySampler(process.pid) as memory:
                out, _ = process.communicate(timeout=_LIMIT_TIMEOUT_S)
        if process.returncode:
            return {"failed": f"exit code {process.returncode}, see {work / f'{name}.log'}"}
    result: dict[str, Any] = json.loads(out.splitlines()[-1])
    return _LIMITS[name](result, memory, log.read_text())


def _seen_memory(result: dict[str, Any], memory: MemorySampler, _log: str) -> dict[str, Any]:
    return result | {"peak_bytes": memory.peak_bytes - result["base_bytes"]}


def _seen_downloads(result: dict[str, Any], _memory: MemorySampler, log: str) -> dict[str, Any]:
    """How often each shard was downloaded: requests over the number of ranges it is fetched in."""
    times = [
        log.count(f"{name}: Open: flags") / -(-size // _RANGE_BYTES)
        for name, size in result.pop("shards").items()
    ]
    return result | {"shards": len(times), "downloads_of_a_shard": [min(times), max(times)]}


def _as_it_is(result: dict[str, Any], _memory: MemorySampler, _log: str) -> dict[str, Any]:
    return result


_LIMITS: dict[str, Callable[[dict[str, Any], MemorySampler, str], dict[str, Any]]] = {
    "verification": _as_it_is,
    "memory": _seen_memory,
    "trials": _seen_downloads,
    "utilisation": _as_it_is,
}


def _run(reader: str, spec: Path, epochs: int, environment: dict[str, str]) -> dict[str, Any]:
    command = [
        sys.executable,
        str(Path(__file__).parent / "reading_epoch.py"),
        reader,
        str(spec),
        str(epochs),
    ]
    log = spec.parent / f"{reader.replace(' ', '-').replace(',', '')}.log"
    with log.open("w") as errors:
        try:
            done = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **environment},
                timeout=_TIMEOUT_S, check=False, text=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"failed": f"longer than {_TIMEOUT_S} s, see {log}"}
    if done.returncode:
        return {"failed": f"exit code {done.returncode}, see {log}"}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def table(results: dict[str, dict[str, Any]]) -> str:
    """Rates, processor time and ratios to ours."""
    base = results.get(OURS, {})
    phases = [phase for phase in ("cold", "warm", "steady") if any(phase in one for one in results.values())]
    header = ["reader", *(f"{phase} images/s" for phase in phases), *(f"cpu ms/image {p}" for p in phases)]
    header += ["first batch warm, s"] if "warm" in phases else []
    rows = []
    for reader, found in results.items():
        if "cold" not in found:
            rows.append([reader, *found.values(), *[""] * (len(header) - 2)])
            continue
        rates = [_rate(found, phase) for phase in phases]
        shown = [f"{rate:.0f}" for rate in rates]
        if "cold" in base and reader != OURS:
            ours = [_rate(base, phase) for phase in phases]
            shown = [f"{rate:.0f} ({own / rate:.2f}x)" for rate, own in zip(rates, ours, strict=True)]
        rows.append([reader, *shown, *(f"{_cpu_ms(found, phase):.3f}" for phase in phases)])
        rows[-1] += [f"{found['warm']['first_s']:.2f}"] if "warm" in phases else []
    return markdown(header, rows) + "\n(in brackets: ours / reader)"


def _rate(found: dict[str, Any], phase: str) -> float:
    return float(found[phase]["images"] / found[phase]["seconds"])


def _cpu_ms(found: dict[str, Any], phase: str) -> float:
    return float(1000 * found[phase]["cpu_s"] / found[phase]["images"])


if __name__ == "__main__":
    main()
