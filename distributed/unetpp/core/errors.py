"""The exception tree; every class crosses process boundaries (picklable by default).

    UnetppError                 something the program names and explains; exit 1
      UserError                 the caller can fix it; exit 2, no traceback
        ConfigError             a config key or value breaks a rule
        InputError              an input file or folder breaks a rule
        StorageError            a URI cannot be used: bucket, credential, endpoint, disk
          AccessError           one path is refused; others below the same URI may be allowed
        ExistsError             the output exists and would be overwritten
        OwnedError              another process works on the run or sweep
      CorruptionError           bytes do not match their digest after every refetch
      NonFiniteError            loss or gradients stayed NaN/Inf beyond the limit
      CheckpointError           no usable checkpoint where one is needed

Messages state the rule, the value and the fix:
``batch_size=3 must be divisible by workers=2; use 4``.
"""

__all__ = [
    "AccessError",
    "CheckpointError",
    "ConfigError",
    "CorruptionError",
    "ExistsError",
    "InputError",
    "NonFiniteError",
    "OwnedError",
    "StorageError",
    "UnetppError",
    "UserError",
]


class UnetppError(Exception):
    """Base of every error that unetpp raises on purpose."""

    exit_code = 1


class UserError(UnetppError):
    """A mistake the caller can fix; the command line prints it without a traceback."""

    exit_code = 2


class ConfigError(UserError):
    """A config key or value breaks a rule."""


class InputError(UserError):
    """An input file or folder breaks a rule."""


class StorageError(UserError):
    """A storage URI cannot be used as given."""


class AccessError(StorageError):
    """One path may not be read or written; others below the same URI may be allowed."""


class ExistsError(UserError):
    """The output exists already and would be overwritten."""


class OwnedError(UserError):
    """Another process works on the run or sweep, or has taken it over."""


class CorruptionError(UnetppError):
    """Bytes differ from their recorded digest after every refetch."""


class NonFiniteError(UnetppError):
    """Loss or gradients stayed NaN or Inf beyond the allowed number of steps."""


class CheckpointError(UnetppError):
    """No usable checkpoint was found where one is needed."""
