"""One training step and one forward pass, against an earlier build of this package and MONAI's network.

UNet++ of depth 4 and width 32, four heads, group norm; MONAI's `BasicUNetPlusPlus` of the same widths with
deep supervision. All have the same objective, AdamW, clipping, one thread and channels-last memory. Each is a
process of its own; they take turns, a step each, and the least CPU time of a step counts, as the machine may
have other work. `--mask AVX512_CORE` hides from oneDNN the units that multiply bf16: all is float32 then.

    git worktree add --detach build/baseline 12f0c1d
    python benchmarks/training_step.py --baseline build/baseline
    python benchmarks/training_step.py --baseline build/baseline --mask AVX512_CORE
"""

import argparse
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import markdown

_HERE = Path(__file__).resolve().parent
_WIDTHS = (32, 64, 128, 256, 512)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--baseline", type=Path, required=True, help="checkout of the earlier build")
    parser.add_argument("--mask", default="", help="value of ONEDNN_MAX_CPU_ISA for all")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--size", type=int, default=128, help="side in pixels")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--child", nargs=2, metavar=("NETWORK", "PRECISION"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _serve(*arguments.child, arguments.size, arguments.batch)
        return
    print(_table(arguments))


def _table(arguments: argparse.Namespace) -> str:
    builds = {
        "baseline": arguments.baseline.resolve() / "distributed",
        "unetpp": _HERE.parent / "distributed",
    }
    builds["monai"] = builds["unetpp"]
    precisions = ("fp32",) if arguments.mask else ("fp32", "bf16")
    runs = {
        (name, precision): _Run(name, precision, path, arguments)
        for name, path in builds.items()
        for precision in precisions
    }
    for _ in range(arguments.rounds):
        for run in runs.values():
            run.turn()
    for run in runs.values():
        run.close()
    base, base_forward = runs["baseline", "fp32"].least()
    monai = min(run.least()[0] for (name, _), run in runs.items() if name == "monai")
    steps = "step, ms an image", "times baseline fp32", "times MONAI's best"
    header = ("network", "precision", *steps, "forward, ms an image", "times baseline fp32")
    rows = []
    for (name, precision), run in runs.items():
        step, forward = run.least()
        steps = f"{step:.1f}", f"{base / step:.2f}x", f"{monai / step:.2f}x"
        rows.append((name, precision, *steps, f"{forward:.1f}", f"{base_forward / forward:.2f}x"))
    return markdown(header, rows)


class _Run:
    """A process that takes a step and a forward pass when it is told to."""

    def __init__(self, name: str, precision: str, path: Path, arguments: argparse.Namespace) -> None:
        environment = {**os.environ, "PYTHONPATH": str(path), "OMP_NUM_THREADS": "1"}
        if arguments.mask:
            environment["ONEDNN_MAX_CPU_ISA"] = arguments.mask
        command = [
            sys.executable,
            __file__,
            "--baseline",
            str(arguments.baseline),
            "--child",
            name,
            precision,
        ]
        command += ["--size", str(arguments.size), "--batch", str(arguments.batch)]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._images, self._turns = arguments.batch, list[tuple[float, float]]()

    def turn(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        self._turns.append(tuple(json.loads(self._process.stdout.readline())))

    def least(self) -> tuple[float, float]:
        """CPU milliseconds an image of a step and of a forward pass; the first turn warms up."""
        step, forward = (min(times) * 1000 / self._images for times in zip(*self._turns[1:], strict=True))
        return step, forward

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _serve(name: str, precision: str, size_px: int, batch: int) -> None:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    if name == "unetpp":
        # As workers do.
        importlib.import_module("unetpp.core.process_memory").keep_freed_memory()
    network, step = _network(name)
    images = torch.randn(batch, 3, size_px, size_px).to(memory_format=torch.channels_last)
    masks = torch.randint(0, 2, (batch, size_px, size_px), dtype=torch.uint8)

    def forward() -> Any:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            return network(images)

    for _ in sys.stdin:
        step_s = _cpu_s(lambda: step(forward(), masks))
        network.eval()
        with torch.inference_mode():
            forward_s = _cpu_s(forward)
        network.train()
        print(json.dumps((step_s, forward_s)), flush=True)


def _cpu_s(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _network(name: str) -> tuple[Any, Callable[[Any, Any], None]]:
    """The network, and the rest of a step from its output."""
    import torch

    from unetpp.config import LossConfig, OptimConfig
    from unetpp.objective import build_objective

    if name == "monai":
        from monai.networks.nets import BasicUNetPlusPlus

        network: Any = BasicUNetPlusPlus(
            spatial_dims=2,
            in_channels=3,
            out_channels=1,
            deep_supervision=True,
            features=(*_WIDTHS, _WIDTHS[0]),
        )
    else:
        from unetpp.models import UNetPlusPlus

        network = UNetPlusPlus(3, 1, depth=len(_WIDTHS) - 1, width=_WIDTHS[0])
    network = network.to(memory_format=torch.channels_last)
    # The module's name in the package, now and at the baseline.
    package = "training.loop" if importlib.util.find_spec("unetpp.training") else "train"
    optimizer = importlib.import_module(f"unetpp.{package}.optim").build_optimizer(network, OptimConfig())
    objective = build_objective(LossConfig(), "binary", range(1, len(_WIDTHS)))

    def step(output: Any, masks: Any) -> None:
        optimizer.zero_grad(set_to_none=True)
        objective((tuple(output), None) if name == "monai" else output, masks).mean().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    return network, step


if __name__ == "__main__":
    main()
