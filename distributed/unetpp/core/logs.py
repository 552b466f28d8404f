"""Logging to stderr with one prefix and with secrets taken out."""

import logging
import os
import re
import sys

__all__ = ["RedactSecrets", "redact", "setup_logging"]

_HIDDEN = "[redacted]"
_PATTERNS = (
    # The key's value, up to the next separator; group 1 is kept.
    re.compile(
        r"""((?:aws_secret_access_key|aws_session_token|aws_access_key_id|x-amz-signature|x-amz-credential"""
        r"""|x-amz-security-token|ray_auth_token|wandb_api_key|password|passwd|secret|secret_key|access_token"""
        r"""|api_key|token)["']?\s*[=:]\s*["']?)[^\s"'&,;})]+""",
        re.IGNORECASE,
    ),
    re.compile(r"""(authorization["']?\s*[=:]\s*["']?)[^"'\r\n]+""", re.IGNORECASE),
    re.compile(r"(\bbearer\s+)[\w\-.~+/]+=*", re.IGNORECASE),
    re.compile(r"(://)[^/\s:@]+:[^/\s@]+(?=@)"),
    re.compile(r"()\b(?:AKIA|ASIA)[A-Z0-9]{12,}"),
)


def redact(text: str) -> str:
    """Replace access keys, tokens, signatures, passwords and credentials in URIs."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{_HIDDEN}", text)
    return text


class RedactSecrets(logging.Formatter):
    """Formats like logging.Formatter, tracebacks included, then redacts the whole text."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def setup_logging(level: str = "INFO", *, rank: int | None = None) -> None:
    """Send the `unetpp` loggers to stderr, each line prefixed by `[rank N]` where given.

    Calling it again replaces the handler, so that a reused process takes the new prefix.
    """
    handler = logging.StreamHandler(sys.stderr)
    lead = "" if rank is None else f"[rank {rank}] "
    handler.setFormatter(RedactSecrets(f"%(asctime)s %(levelname)s {lead}%(message)s", "%H:%M:%S"))
    logger = logging.getLogger("unetpp")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(os.environ.get("UNETPP_LOG_LEVEL", level).upper())
