import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
import typer

import unetpp
from unetpp.cli import main as cli
from unetpp.core.errors import ConfigError, CorruptionError

SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCY"


@pytest.fixture
def failing_verb(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    """A verb `fail` that raises what the test puts into the list."""
    errors: list[BaseException] = []
    module = ModuleType("unetpp.cli.verbs.fail")

    def register(app: typer.Typer) -> None:
        @app.command()
        def fail(key: str = "") -> None:
            raise errors[0]

    module.register = register  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "unetpp.cli.verbs.fail", module)
    monkeypatch.setattr(cli, "_VERBS", (*cli._VERBS, "fail"))
    monkeypatch.delenv("UNETPP_DEBUG", raising=False)
    yield errors
    os.environ.pop("UNETPP_DEBUG", None)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("rule, value, fix"), 2, "error: rule, value, fix"),
        (CorruptionError("shard x"), 1, "error: shard x"),
        (RuntimeError("first\nsecond"), 1, "error: RuntimeError: first"),
        (RuntimeError(), 1, "error: RuntimeError:"),
        (KeyboardInterrupt(), 130, "error: stopped"),
        (
            ConfigError(f"bad aws_secret_access_key={SECRET}"),
            2,
            "error: bad aws_secret_access_key=[redacted]",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_run_failure_maps_to_exit_code_and_one_last_line(
    failing_verb: list[BaseException],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    line: str,
) -> None:
    failing_verb.append(error)
    assert cli.run(["fail"]) == code
    captured = capsys.readouterr()
    assert captured.err.rstrip().splitlines()[-1].rstrip() == line
    assert "Traceback" not in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("arguments", [["--debug", "fail"], ["fail", "--debug"]])
def test_run_debug_anywhere_shows_the_traceback_without_secrets(
    failing_verb: list[BaseException], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    failing_verb.append(RuntimeError(f"token={SECRET}"))
    assert cli.run(arguments) == 1
    written = capsys.readouterr().err
    assert "Traceback" in written
    assert SECRET not in written


@pytest.mark.parametrize("arguments", [["nonsense"], ["config", "--nonsense"], ["doctor", "extra"]])
def test_run_wrong_usage_exits_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["train", "--out", "x"], ["submit", "tune", "s.py", "--data.uri=x"]])
def test_run_field_given_as_an_option_is_told_from_one(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(arguments) == 2
    name = "out" if "out" in arguments[1] else "data.uri"
    assert f"{name} is a field of the configuration: write {name}=VALUE" in capsys.readouterr().err


def test_run_version_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"{unetpp.__version__}\n"


def test_run_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    listed = capsys.readouterr().out
    assert [verb for verb in cli._VERBS if f"\n  {verb}" not in listed] == []


@pytest.mark.usefixtures("keyboard")
def test_main_interrupted_in_a_real_process_exits_130_with_one_line() -> None:
    program = (
        "import os, signal, sys\n"
        "from unetpp.cli import main\n"
        "from unetpp.cli.verbs import config\n"
        "config._print_config = lambda *a, **k: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.exit(main.run(['config']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr.strip() == "error: stopped"
