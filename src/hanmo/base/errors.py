"""Every error a user may meet, as one tree.

HanmoError
├── UsageError          wrong words on the command line or in a recipe (exit code 2)
│   └── ConfigError     a key, a value or a combination of values that cannot be
├── DataError           input that cannot be read or is empty
├── ModelError          a model folder or a shape that cannot be
├── TrainingError       a loss that is not a number, a spike, a run that cannot go on
├── StorageError        a disk that is full or a folder that cannot be written
├── MissingExtraError   an optional library that is not installed
├── Busy                more requests wait than may; the same one may succeed later
└── Interrupted         the user or the system asked to stop; the state is saved

A message says what is wrong, the value seen, and what to do, in one line that any terminal can show.
"""

LONGEST = 1200
"""Characters of a message; what foreign files and libraries say may be longer."""


class HanmoError(Exception):
    """Something the user can mend; shown as one line, without a traceback."""

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(str(message)))


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


class Busy(HanmoError):
    """More requests wait than may; the same request may succeed later."""


class Interrupted(HanmoError):
    """Asked to stop; everything done so far is saved."""


def one_line(text: str) -> str:
    r"""Text as one line: blanks for line ends, numbers for what cannot be printed, dots in the middle of what is too long.

    >>> one_line("a name\n\x1b[31m in red")
    'a name \\x1b[31m in red'
    """
    joined = " ".join(text.splitlines())
    plain = "".join(each if each.isprintable() or each.isspace() else each.encode("unicode_escape").decode() for each in joined)
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST // 2]} ... {plain[-LONGEST // 4 :]}"


def words_of_system(error: BaseException) -> str:
    """What the system had to say, in one line; empty for a mistake of ours."""
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}" if error.errno else ""
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error):
        return "memory ran out: lower train.micro_batch_size or the model's size; hanmo plan RECIPE tells what a recipe takes"
    return ""
