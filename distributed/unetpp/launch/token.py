"""The token that Ray's API asks for: whoever holds it can run code as the user."""

import os
import secrets
import stat
from pathlib import Path

from unetpp.core.errors import UserError

__all__ = ["ensure_token", "require_token", "token_path"]

_TOKEN_BYTES = 32


def token_path() -> Path:
    """Where Ray looks for the token: RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token."""
    configured = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return Path(configured) if configured else Path.home() / ".ray" / "auth_token"


def ensure_token() -> None:
    """Switch token authentication on for this process and its children; make a token where none is.

    Ray itself creates the file readable by everyone; made here with O_EXCL it is 0600 from the start.

    Raises:
        UserError: the token file can be read by others and its mode cannot be changed.
    """
    os.environ["RAY_AUTH_MODE"] = "token"
    if os.environ.get("RAY_AUTH_TOKEN"):
        return
    path = token_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        _close_to_others(path)
        return
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(_TOKEN_BYTES))


def require_token() -> str:
    """Switch token authentication on and return the token of a cluster that runs already.

    Raises:
        UserError: there is none, it is empty, or others can read its file and its mode cannot be changed.
    """
    os.environ["RAY_AUTH_MODE"] = "token"
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return token
    path = token_path()
    try:
        _close_to_others(path)
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"a cluster's token is needed and there is none at {path}; "
            "copy it from the head node and set RAY_AUTH_TOKEN_PATH to the copy"
        ) from error
    if not token:
        raise UserError(f"token file {path} must hold the cluster's token; it is empty; copy it again")
    return token


def _close_to_others(path: Path) -> None:
    if not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return
    try:
        path.chmod(0o600)
    except OSError as error:
        raise UserError(
            f"token file {path} must be readable by its owner only; run: chmod 600 {path}"
        ) from error
