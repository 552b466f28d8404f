"""The grid's nodes: which there are, what they take in and how many channels they have."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unetpp.config.encoders import ENCODER_ROWS, ENCODERS, encoder_channels
from unetpp.config.sections.model import MAX_DEPTH
from unetpp.core.errors import ConfigError

__all__ = ["GridShape"]


@dataclass(frozen=True)
class GridShape:
    """Rows i 0..depth and positions j along them; options as in `ModelConfig`.

    Raises:
        ConfigError: the options do not fit together.
    """

    depth: int
    widths: tuple[int, ...]
    pool: tuple[tuple[int, ...], ...]
    dense: str
    encoder: str
    stem_stride: int
    spatial_dims: int

    def __post_init__(self) -> None:
        if not 1 <= self.depth <= MAX_DEPTH:
            raise ConfigError(f"model.depth={self.depth} must be within 1..{MAX_DEPTH}")
        self.per_row("widths", self.widths)
        if len(self.pool) != self.depth or any(
            len(row) != self.spatial_dims or not {*row} <= {1, 2} for row in self.pool
        ):
            raise ConfigError(
                f"model.pool={[list(row) for row in self.pool]} must be {self.depth} rows of "
                f"{self.spatial_dims} factors 1 or 2, one per axis"
            )
        if self.stem_stride not in (1, 2, 4) or (self.stem_stride > 1 and self.spatial_dims == 3):
            raise ConfigError(
                f"model.stem_stride={self.stem_stride} must be 1, 2 or 4 for pictures and 1 for volumes"
            )
        if self.encoder != "none":
            self._check_encoder()

    def nodes(self) -> Iterator[tuple[int, int]]:
        """(i, j), one diagonal i + j after the other.

        What comes before a diagonal's end is exactly the network pruned to it, dropout's draws included.
        """
        for diagonal in range(self.depth + 1):
            yield diagonal, 0
            if self.dense != "unet" or diagonal == self.depth:
                yield from ((diagonal - j, j) for j in range(1, diagonal + 1))

    def learned_nodes(self) -> Iterator[tuple[int, int]]:
        """Those that do not come from the encoder."""
        return ((i, j) for i, j in self.nodes() if j > 0 or not self.is_encoded(i))

    def skips(self, j: int) -> Sequence[int]:
        """Positions of the same row that node (i, j) takes in."""
        if self.dense == "pp":
            return range(j)
        return (j - 1,) if self.dense == "plus" else (0,)

    def channels(self, i: int, j: int) -> int:
        """Of x[i][j]."""
        if j == 0 and self.is_encoded(i):
            return encoder_channels(self.encoder)[self.encoder_row(i)]
        return self.widths[i]

    def is_encoded(self, i: int) -> bool:
        """Whether x[i][0] comes from the encoder."""
        return self.encoder != "none" and self.encoder_row(i) >= 0

    def encoder_row(self, i: int) -> int:
        """Which row of the encoder has the stride of the grid's row i; -1 for full resolution."""
        return self.stem_stride.bit_length() - 2 + i

    @property
    def multiples(self) -> tuple[int, ...]:
        """Of the sides of images that every row halves without a remainder."""
        return tuple(self.stem_stride * math.prod(axis) for axis in zip(*self.pool, strict=True))

    def per_row(self, name: str, values: Sequence[int]) -> tuple[int, ...]:
        """The values as they are.

        Raises:
            ConfigError: they are not one positive integer a row.
        """
        if len(values) != self.depth + 1 or min(values) < 1:
            raise ConfigError(
                f"model.{name}={list(values)} must be {self.depth + 1} positive integers, one per row "
                f"0..{self.depth}"
            )
        return tuple(values)

    def _check_encoder(self) -> None:
        if self.encoder not in ENCODERS:
            raise ConfigError(f"model.encoder={self.encoder} must be none or one of {', '.join(ENCODERS)}")
        rows = self.encoder_row(self.depth) + 1
        if rows > ENCODER_ROWS or {*self.pool} != {(2, 2)}:
            raise ConfigError(
                f"model.encoder={self.encoder} halves pictures {ENCODER_ROWS} times; this grid asks for "
                f"{rows} with model.pool={[list(row) for row in self.pool]}; lower model.depth or "
                "model.stem_stride"
            )
