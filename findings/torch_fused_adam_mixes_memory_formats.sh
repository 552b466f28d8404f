#!/usr/bin/env bash
# Behaviour: AdamW(fused=True) on a CPU pairs weights, gradients and moments by their place in memory. A
# checkpoint of a contiguous training, loaded into a network in channels_last, updates each weight with
# another weight's moments: no error, no warning. fused=False is right.
# Versions: torch 2.13.0.
# Why it hurts: a training that goes on in channels_last, which is advised for speed, has moments of other
# weights; the loss still falls, only worse.
# Instead: give loaded moments the format of their weights, or fused=False for the first process that loads.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import torch


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


print("library:", "torch", version("torch"))
print("guess: a step of the optimiser does not depend on how tensors lie in memory")


def steps(net, optimizer, count):
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        images = torch.randn(2, 4, 8, 8, generator=generator)
        optimizer.zero_grad()
        net(images).square().sum().backward()
        optimizer.step()


def resumed(fused, memory_format):
    torch.manual_seed(0)
    net = torch.nn.Conv2d(4, 8, 3)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01, fused=fused)
    steps(net, optimizer, 5)
    again = torch.nn.Conv2d(4, 8, 3)
    again.load_state_dict(net.state_dict())
    again = again.to(memory_format=memory_format)
    its_own = torch.optim.AdamW(again.parameters(), lr=0.01, fused=fused)
    its_own.load_state_dict(optimizer.state_dict())
    steps(again, its_own, 1)
    return again.weight.detach()


right = resumed(False, torch.contiguous_format)
for fused in (False, True):
    difference = float((resumed(fused, torch.channels_last) - right).abs().max())
    print(f"seen: fused={fused}, resumed in channels_last: weights differ by {difference:.1e}")
    expect(f"equal weights with fused={fused}", not fused, difference < 1e-6)
same = float((resumed(True, torch.contiguous_format) - right).abs().max())
expect("equal weights with fused=True in the same format", True, same < 1e-6)
PY
