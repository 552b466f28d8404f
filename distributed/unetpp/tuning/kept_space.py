"""The search space that a sweep's folder keeps: code from storage, run only if it is this user's own.

Its digest must be the study's, and one of those this user has given on this machine: files below
$XDG_STATE_HOME/unetpp/spaces, named by their digest. Both are compared before a line of it runs.
"""

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path

from unetpp.core.commands import shown_command
from unetpp.core.errors import ConfigError, InputError
from unetpp.core.local_folders import user_state
from unetpp.core.storage import Storage, open_storage
from unetpp.tuning.space.files import SourceFile, difference, digest, joined_source, read_sources
from unetpp.tuning.space.space import Space

__all__ = ["SPACE_FOLDER", "kept_space", "remember_space", "require_local", "resume_command", "space_name"]

SPACE_FOLDER = "space"
_PLACEHOLDER = "SPACE.py"

logger = logging.getLogger(__name__)


def kept_space(folder: Storage, sha256: str, source: str) -> Space:
    """The space in a sweep's folder.

    Args:
        folder: of the sweep.
        sha256: the study's digest of the space.
        source: the study's text of it, to show what differs.

    Raises:
        InputError: the folder is not local, or this user never gave this space on this machine.
        ConfigError: the files are not those the study was started with.
    """
    require_local(folder)
    main = space_name(folder, source)
    with tempfile.TemporaryDirectory(prefix="unetpp-space-") as copies:
        for path in folder.list(f"{SPACE_FOLDER}/"):
            (Path(copies) / path.rpartition("/")[2]).write_bytes(folder.read(path))
        files = read_sources(Path(copies) / main)
    _require_same(files, sha256, source, folder.uri)
    kept = folder.local_path(f"{SPACE_FOLDER}/{main}")
    if not _record(sha256).is_file():
        raise InputError(
            f"the space of {folder.uri} must be one you have given on this machine; it is code that came "
            f"with the folder; read {kept}, then continue with: {_with_space(folder.uri, kept)}"
        )
    # The files as they were compared: what else lies beside them in the folder is out of reach.
    return Space(Path(copies) / main, files)


def require_local(folder: Storage) -> None:
    """Refuse to go on from a sweep's folder alone where others may write to it.

    Raises:
        InputError: the folder is not local.
    """
    if not folder.is_local:
        raise InputError(
            f"the space of {folder.uri} must come from you: code from a bucket is never run; continue with "
            f"your own file of it: {resume_command(folder.uri)}"
        )


def remember_space(space: Space) -> None:
    """Note that this user gave this space on this machine; without a writable home nothing is remembered."""
    record = _record(space.sha256)
    try:
        record.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        record.write_text(f"{space.path}\n", encoding="utf-8")
    except OSError as error:
        logger.warning("going on with this sweep will need its space file: %s", error)


def resume_command(sweep_uri: str) -> str:
    """The command that goes on with a sweep; one that is in no local folder needs the user's space file."""
    if open_storage(sweep_uri).is_local:
        return shown_command("tune", "--resume", sweep_uri)
    return _with_space(sweep_uri, _PLACEHOLDER)


def space_name(folder: Storage, source: str) -> str:
    """The space's own file among the copies; its text is what the source begins with."""
    texts = _texts(folder)
    found = [name for name, text in texts.items() if source.startswith(text)]
    return max(found, key=lambda name: len(texts[name]), default="space.py")


def _texts(folder: Storage) -> Mapping[str, str]:
    paths = folder.list(f"{SPACE_FOLDER}/")
    return {path.rpartition("/")[2]: folder.read(path).decode(errors="replace") for path in paths}


def _with_space(sweep_uri: str, space: str | Path) -> str:
    return shown_command("tune", space, f"out={sweep_uri}", "--resume")


def _record(sha256: str) -> Path:
    return user_state("spaces") / sha256


def _require_same(files: tuple[SourceFile, ...], sha256: str, source: str, sweep_uri: str) -> None:
    if digest(files) != sha256:
        shown = difference(source, joined_source(files), f"{sweep_uri}/{SPACE_FOLDER}/{files[0][0]}")
        raise ConfigError(
            f"the space kept in {sweep_uri} must be the one its study was started with; it was changed and "
            f"is not run; restore it, or give yours: {_with_space(sweep_uri, _PLACEHOLDER)}\n{shown}"
        )
