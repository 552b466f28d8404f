#!/usr/bin/env bash
# Behaviour: save_file raises ValueError ('non contiguous tensor') for the weights of a net in
# channels_last, the format advised for fast convolutions on CPU and GPU; a net whose convolutions
# all have one input channel saves without complaint. save_model works.
# Versions: safetensors 0.8.0, torch 2.13.0.
# Why it hurts: training runs to the end and fails at the first checkpoint, on the machine where
# channels_last was switched on and not in the test on a grey toy image.
# Instead: save_model, or .contiguous() on every tensor of the state dict.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq safetensors==0.8.0 torch==2.13.0 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import torch
from safetensors.torch import load_model, save_file, save_model


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("safetensors", "torch")
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: channels_last tensors are dense, so they are saved as any other")
def saves(channels):
    net = torch.nn.Conv2d(channels, 4, 3).to(memory_format=torch.channels_last)
    try:
        save_file(net.state_dict(), "net.safetensors")
    except ValueError as error:
        print("seen:", str(error).splitlines()[0][:80])
        return False
    return True


expect("3 input channels saved", False, saves(3))
expect("1 input channel saved", True, saves(1))
net = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
save_model(net, "net.safetensors")
again = torch.nn.Conv2d(3, 4, 3)
load_model(again, "net.safetensors")
expect("equal after save_model", True, torch.equal(net.weight, again.weight))
PY
