"""Files in a local folder, an S3 bucket or any fsspec store."""

from unetpp.core.storage.storage import Storage, open_storage, preflight

__all__ = ["Storage", "open_storage", "preflight"]
