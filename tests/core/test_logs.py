import logging
from collections.abc import Iterator

import pytest

from unetpp.core.logs import redact, setup_logging

SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCY"


@pytest.mark.parametrize(
    "text",
    [
        f"AWS_SECRET_ACCESS_KEY={SECRET}",
        f'{{"aws_secret_access_key": "{SECRET}"}}',
        f"Authorization: Bearer {SECRET}",
        f"headers={{'Authorization': 'AWS4-HMAC-SHA256 Credential={SECRET}'}}",
        f"https://bucket/key?X-Amz-Signature={SECRET}&x=1",
        f"s3://user:{SECRET}@bucket/key",
        f"postgresql://me:{SECRET}@host/db",
        f"RAY_AUTH_TOKEN={SECRET}",
        f"sent bearer {SECRET}",
        "key AKIAIOSFODNN7EXAMPLE was used".replace("AKIAIOSFODNN7EXAMPLE", f"AKIA{SECRET.upper()}"),
    ],
)
def test_redact_secret_in_text_is_removed(text: str) -> None:
    assert SECRET.lower() not in redact(text).lower()
    assert "[redacted]" in redact(text)


@pytest.mark.parametrize(
    "text", ["optim.lr=0.001", "s3://bucket/key@v1", "loss 0.5 token count", "http://host:80/a"]
)
def test_redact_harmless_text_is_unchanged(text: str) -> None:
    assert redact(text) == text


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("unetpp")
    handlers, propagate, level = logger.handlers[:], logger.propagate, logger.level
    yield logger
    logger.handlers[:], logger.propagate = handlers, propagate
    logger.setLevel(level)


def test_setup_logging_called_twice_writes_one_line_with_the_last_prefix(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    setup_logging(rank=0)
    setup_logging(rank=1)
    logger.getChild("core").info("hello %d", 5)
    written = capsys.readouterr().err
    assert written.endswith("INFO [rank 1] hello 5\n")
    assert written.count("\n") == 1


def test_setup_logging_traceback_with_a_secret_is_redacted(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    setup_logging()
    try:
        raise ValueError(f"secret_key={SECRET}")
    except ValueError:
        logger.exception("failed")
    written = capsys.readouterr().err
    assert "ValueError" in written
    assert "secret_key=[redacted]" in written
