"""Every `unetpp ...` command that is written down: in pages, in definitions, and in what verbs print."""

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

__all__ = ["ROOT", "defined_commands", "page_commands", "printed_commands"]

ROOT = Path(__file__).parents[1]
Words = list[str]

_STAND_INS = {"split": "test", "suffix": " --level 2", "fields": "data.uri=dataset model.depth=2"}
"""What an expression inside a printed command stands for; others are paths and names."""
_SLURM = {
    "SLURM_NNODES": "4", "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "node-[1-4]", "SLURM_GPUS_ON_NODE": "1",
    "SLURM_CPUS_PER_TASK": "8",
}  # fmt: skip
_SKY = {
    "SKYPILOT_NODE_IPS": "10.0.0.1", "SKYPILOT_NUM_NODES": "4", "SKYPILOT_NUM_GPUS_PER_NODE": "1",
    "BUCKET": "mine", "RAY_PORT": "6379", "TRIALS": "4",
}  # fmt: skip


def page_commands(page: Path) -> list[Words]:
    """Of the page's blocks and of its inline code, without pipes and comments, in their order."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    fenced = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    blocks = re.findall(r"^    (unetpp .*)$", text, re.MULTILINE)
    blocks += re.findall(r"^(unetpp .*)$", fenced, re.MULTILINE)
    inline = [" ".join(found.split()) for found in re.findall(r"`(unetpp [^`]+)`", text)]
    return [_words(line) for line in [*blocks, *inline]]


def printed_commands() -> Iterator[tuple[str, Words]]:
    """Of every string and f-string of the package that is no docstring, with the module's path."""
    for path in sorted((ROOT / "distributed/unetpp").rglob("*.py")):
        module = str(path.relative_to(ROOT / "distributed/unetpp"))
        nodes = list(ast.walk(ast.parse(path.read_text())))
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in nodes:
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "shown_command":
                yield module, [_argument(word) for word in node.args if not isinstance(word, ast.Starred)]
            if isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in docstrings | parts:
                text = _text(node)
                # A command in a sentence is quoted, or ends its line; a mention is a verb and no more.
                for found in re.findall(r"`(unetpp [^`]+)`|(?:^|: |  )(unetpp [a-z][^\n;(]*)$", text):
                    yield module, _words("".join(found))


def _argument(node: ast.expr) -> str:
    return _text(node) if isinstance(node, ast.JoinedStr | ast.Constant) else _named(ast.unparse(node))


def _text(node: ast.JoinedStr | ast.Constant) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    text = ""
    for part in node.values:
        text += str(part.value) if isinstance(part, ast.Constant) else _stand_in(part, text)
    return text


def _stand_in(part: Any, before: str) -> str:
    # What follows a word at once is an option that may be empty.
    return "" if before[-1:].isalpha() else _named(ast.unparse(part.value))


def _named(expression: str) -> str:
    return _STAND_INS.get(expression, "2" if "level" in expression else "runs/first")


def _words(line: str) -> Words:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words = list(lexer)
    return words[1 : words.index("|")] if "|" in words else words[1:]


def defined_commands(path: Path, folder: Path) -> list[Words]:
    """The commands that a definition of `cluster/` runs, in their order."""
    text = path.read_text()
    if path.suffix == ".sbatch":
        first = ["search_spaces/architecture.py"] if path.stem == "tune" else []
        arguments = [*first, "s3://mine/dataset", f"s3://mine/{path.stem}"]
        return _run(["bash", str(path), *arguments], _SLURM, folder)
    tree = yaml.safe_load(text)
    if "run" in tree:
        return _run(["bash", "-c", tree["run"]], _SKY, folder)
    entrypoint = tree.get("spec", {}).get("entrypoint", "")
    return _run(["bash", "-c", entrypoint], {}, folder) if entrypoint else []


def _run(command: Words, variables: dict[str, str], folder: Path) -> list[Words]:
    """What reaches `unetpp` when the cluster's own commands are replaced, and `--resume` finds nothing."""
    log = folder / "calls"
    log.write_text("")
    for name, body in (
        ("scontrol", "echo node-1"),
        ("srun", 'while [[ $1 == --* ]]; do shift; done; exec "$@"'),
        ("hostname", "echo 10.0.0.1"),
        ("ray", 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"'),
        ("unetpp", f'printf "%s\\0" "$@" >> {log}; echo >> {log}; [[ "$*" != *--resume ]] || exit 2'),
    ):
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder), **variables}
    subprocess.run(command, env=environment, check=True, timeout=60)
    return [line.rstrip("\0").split("\0") for line in log.read_text().splitlines()]
