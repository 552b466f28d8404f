"""Where a dataset's manifest lives: read the current one, commit a new one."""

import json
from collections.abc import Iterable

from pydantic import ValidationError

from unetpp.core.errors import CorruptionError, ExistsError, InputError
from unetpp.core.manifest import MANIFEST_POINTER, READABLE_SCHEMAS, Manifest
from unetpp.core.places import misplaced
from unetpp.core.storage import Storage

__all__ = [
    "choose_split",
    "commit_manifest",
    "is_dataset",
    "lacks_split",
    "list_versions",
    "load_manifest",
    "next_version",
    "require_shards",
]

_PREFIX, _SUFFIX = "manifest-", ".json"


def load_manifest(storage: Storage, version: str | None = None) -> Manifest:
    """The current manifest, or the one of a version.

    Raises:
        InputError: no packed dataset is there, or this release cannot read it.
        CorruptionError: the manifest is damaged.
    """
    name = _current(storage) if version is None else _name(version)
    try:
        data = storage.read(name)
    except FileNotFoundError as error:
        known = ", ".join(list_versions(storage)) or "none"
        raise InputError(
            f"no {name} at {storage.uri}; versions found: {known}; correct the version or pack again"
        ) from error
    try:
        schema_version = json.loads(data)["schema_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptionError(
            f"{name} at {storage.uri} is damaged: {error!r}; pack the dataset again"
        ) from error
    if schema_version not in READABLE_SCHEMAS:
        raise InputError(
            f"{storage.uri} has schema_version={schema_version}, this release reads "
            f"{' and '.join(map(str, READABLE_SCHEMAS))}; "
            "install a matching release or pack the dataset again"
        )
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        raise CorruptionError(f"{name} at {storage.uri} is damaged: {error}; pack again") from error


def is_dataset(storage: Storage) -> bool:
    """Whether a packed dataset lies here, rather than files of which one has the name of its manifest."""
    if not storage.exists(MANIFEST_POINTER):
        return False
    try:
        return storage.exists(_current(storage))
    except InputError:
        return False


def commit_manifest(storage: Storage, manifest: Manifest) -> None:
    """Make a packed version current: the manifest itself first, then the pointer to it.

    Raises:
        ExistsError: another packer committed this version first.
    """
    name = _name(manifest.version)
    if not storage.write_if_absent(name, manifest.model_dump_json(indent=1).encode()):
        raise ExistsError(
            f"{name} exists at {storage.uri}: another packer finished first; "
            "use its dataset, or pack again with --overwrite or another --out"
        )
    storage.write(MANIFEST_POINTER, json.dumps({"manifest": name}).encode())


def list_versions(storage: Storage) -> list[str]:
    """Committed versions, ascending."""
    names = [name for name in storage.list(_PREFIX) if name.endswith(_SUFFIX)]
    return [name.removeprefix(_PREFIX).removesuffix(_SUFFIX) for name in names]


def next_version(storage: Storage) -> str:
    """Number after the highest committed version, "00001" for a new dataset."""
    numbers = [int(version) for version in list_versions(storage) if version.isdecimal()]
    return f"{max(numbers, default=0) + 1:05d}"


def require_shards(storage: Storage, manifest: Manifest, splits: Iterable[str], *, fix: str) -> None:
    """Check that a version that was read before is still whole, by one listing.

    Raises:
        InputError: shards of these splits are gone; `fix` says what to do beside restoring them.
    """
    present = set(storage.list("shards/"))
    infos = [info for split in splits if split in manifest.splits for info in manifest.splits[split].shards]
    gone = [info.name for info in infos if info.name not in present]
    if gone:
        raise InputError(
            f"{len(gone)} of {len(infos)} shards of dataset version {manifest.version} are gone from "
            f"{storage.uri}, the first being {gone[0]}; restore them, or {fix}"
        )


def lacks_split(manifest: Manifest, split: str, uri: str) -> str | None:
    """What to say of a dataset without a row in a split; None if it has one."""
    filled = [name for name, info in manifest.splits.items() if info.rows]
    if split in filled:
        return None
    return f"dataset {uri} has no rows in split {split}, only in {', '.join(filled) or 'none'}"


def choose_split(manifest: Manifest, split: str | None) -> str:
    """The split that is meant: as asked, else `test`, else `val`.

    Raises:
        InputError: the split is not in the dataset or has no rows.
    """
    filled = [name for name, info in manifest.splits.items() if info.rows]
    if split is None:
        held_out = [name for name in ("test", "val") if name in filled]
        if not held_out:
            raise InputError(f"the dataset has no test or val rows; name a split of {filled} with --split")
        return held_out[0]
    if split not in filled:
        raise InputError(f"split={split!r} has no rows in this dataset; use one of {filled}")
    return split


def _current(storage: Storage) -> str:
    try:
        data = storage.read(MANIFEST_POINTER)
    except FileNotFoundError as error:
        missing = f"no packed dataset at {storage.uri}: {MANIFEST_POINTER} is missing"
        missing = misplaced(storage, "packed dataset") or missing
        raise InputError(f"{missing}; name a folder or URI that `unetpp data pack` wrote") from error
    try:
        name = json.loads(data)["manifest"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{MANIFEST_POINTER} at {storage.uri} does not name a dataset manifest; "
            "name a folder or URI that `unetpp data pack` wrote"
        ) from error
    return str(name)


def _name(version: str) -> str:
    return f"{_PREFIX}{version}{_SUFFIX}"
