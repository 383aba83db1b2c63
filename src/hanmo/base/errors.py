"""Every error a user may meet, as one tree.

HanmoError
├── UsageError          wrong words on the command line or in a recipe (exit code 2)
│   └── ConfigError     a key, a value or a combination of values that cannot be
├── DataError           input that cannot be read or is empty
├── ModelError          a model folder or a shape that cannot be
├── TrainingError       a loss that is not a number, a spike, a run that cannot go on
├── StorageError        a disk that is full or a folder that cannot be written
├── MissingExtraError   an optional library that is not installed
└── Interrupted         the user or the system asked to stop; the state is saved

A message says what is wrong, the value seen, and what to do.
"""


class HanmoError(Exception):
    """Something the user can mend; shown as one line, without a traceback."""

    exit_code = 1


class UsageError(HanmoError):
    """Wrong words on the command line."""

    exit_code = 2


class ConfigError(UsageError):
    """A key, a value or a combination of values that cannot be."""


class DataError(HanmoError):
    """Input that cannot be read, or nothing left to work on."""


class ModelError(HanmoError):
    """A model folder, a weight or a shape that does not fit."""


class TrainingError(HanmoError):
    """Training that cannot go on, with the diagnosis."""


class StorageError(HanmoError):
    """A disk that is full, or a folder that cannot be written."""


class MissingExtraError(HanmoError):
    """An optional library is needed and not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is not installed: pip install 'hanmo[{extra}]'")
        self.library, self.extra = library, extra

    def __reduce__(self) -> tuple[type["MissingExtraError"], tuple[str, str]]:
        """Come back whole from a worker process."""
        return type(self), (self.library, self.extra)


class Interrupted(HanmoError):
    """Asked to stop; everything done so far is saved."""
