"""Seeds and random generators derived from named parts, never from a shared global state."""

import hashlib

import numpy as np

__all__ = ["derive_seed", "rng"]


def derive_seed(*parts: int | str) -> int:
    """Hash the parts into an integer in [0, 2**63), the same in every process and on every machine.

    Parts are tagged with their type and length, so that (1, "2"), ("1", 2) and ("12",) differ.
    """
    digest = hashlib.sha256()
    for part in parts:
        text = str(part).encode()
        digest.update(f"{type(part).__name__}{len(text)}:".encode() + text)
    return int.from_bytes(digest.digest()[:8], "big") >> 1


def rng(*parts: int | str) -> np.random.Generator:
    """A counter-based generator (Philox) keyed by the parts."""
    return np.random.Generator(np.random.Philox(derive_seed(*parts)))
