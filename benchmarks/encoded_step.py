"""One training step of the networks that `train.minutes` plans, against an earlier checkout of the package.

A grid over EfficientNet-Lite0 with batch norm in bf16: as planned for road scenes (11 classes) and for nuclei
(one). Random weights and images: what counts is the time. Each version is a process of one thread; they take
turns, and the least CPU time of a step counts, as the machine may have other work.

    git worktree add --detach build/before COMMIT
    python benchmarks/encoded_step.py --baseline build/before
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from common import checkout_environment, markdown

_CHECKOUT = Path(__file__).resolve().parents[1]
_PLANS = {
    "road scenes: depth 3, width 32, stride 4, 11 classes": (3, 32, 4, 11),
    "nuclei: depth 4, width 16, stride 2": (4, 16, 2, 1),
}
_SIDE_PX, _BATCH, _STEPS = 256, 8, 5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--baseline", type=Path, required=True, help="checkout of the earlier version")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--child", choices=_PLANS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(least_ms(*_PLANS[arguments.child]))
        return
    checkouts = {"earlier": arguments.baseline.resolve(), "now": _CHECKOUT}
    rows = []
    for plan in _PLANS:
        found: dict[str, list[float]] = {version: [] for version in checkouts}
        for _ in range(arguments.turns):
            for version, checkout in checkouts.items():
                found[version].append(measured(checkout, plan, arguments.baseline))
        before, now = min(found["earlier"]), min(found["now"])
        rows.append([plan, f"{before:.1f}", f"{now:.1f}", f"{before / now:.2f}x"])
    print(markdown(["network", "earlier, CPU ms an image", "now", "ratio"], rows))


def measured(checkout: Path, plan: str, baseline: Path) -> float:
    """CPU milliseconds an image of a step by a checkout."""
    command = [sys.executable, __file__, "--baseline", str(baseline), "--child", plan]
    environment = {**checkout_environment(checkout), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def least_ms(depth: int, width: int, stride: int, classes: int) -> float:
    """Of a few steps, in this process and with the package that it imports."""
    import torch

    from unetpp.config import LossConfig, OptimConfig
    from unetpp.models import UNetPlusPlus
    from unetpp.objective import build_objective
    from unetpp.training.loop.optim import build_optimizer

    try:
        from unetpp.core.process_memory import keep_freed_memory
    except ImportError:
        pass  # of a version in which workers did not do so
    else:
        keep_freed_memory()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    options = {"norm": "batch", "encoder": "lite0", "stem_stride": stride}
    network = UNetPlusPlus(3, classes, depth=depth, width=width, **options)
    network = network.to(memory_format=torch.channels_last)
    optimizer = build_optimizer(network, OptimConfig())
    task = "multiclass" if classes > 1 else "binary"
    loss = LossConfig(dice_classes="present" if classes > 1 else "all")
    objective = build_objective(loss, task, network.supervised_levels)
    images = torch.rand(_BATCH, 3, _SIDE_PX, _SIDE_PX).to(memory_format=torch.channels_last)
    masks = torch.randint(0, max(classes, 2), (_BATCH, _SIDE_PX, _SIDE_PX), dtype=torch.uint8)
    times_s = []
    for _ in range(_STEPS):
        began_s = time.process_time()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            output = network(images)
        objective(output, masks).mean().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        times_s.append(time.process_time() - began_s)
    return min(times_s[1:]) * 1000 / _BATCH


if __name__ == "__main__":
    main()
