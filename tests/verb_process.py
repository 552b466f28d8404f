"""Several verbs, one after the other, in one process beside the tests': it imports Ray once, and joins and
leaves clusters that the Ray of the session knows nothing of.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence

__all__ = ["run_verbs"]

_DEADLINE_S = 300
_MARK = "-- the end of a verb --"
_PROGRAM = f"""
import json, sys
from unetpp.cli.main import run
codes = []
for arguments in json.loads(sys.stdin.read()):
    codes.append(run(arguments))
    for stream in (sys.stdout, sys.stderr):
        print({_MARK!r}, file=stream, flush=True)
print(json.dumps(codes))
"""


def run_verbs(*verbs: Sequence[str], **environment: str) -> list[subprocess.CompletedProcess[str]]:
    """Exit code, output and errors of each, in this environment and what is added to it."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=os.environ | environment,
        input=json.dumps([list(verb) for verb in verbs]),
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *outputs, codes = done.stdout.split(f"{_MARK}\n")
    errors = done.stderr.split(f"{_MARK}\n")
    return [
        subprocess.CompletedProcess(list(verb), code, output, error)
        for verb, code, output, error in zip(verbs, json.loads(codes), outputs, errors, strict=False)
    ]
