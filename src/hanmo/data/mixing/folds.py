"""Cross-validation on a finished data set: the documents to train on and to validate on, fold by fold.

In: a data set made with split.folds, a fold. Out: two streams of documents. The idea: the folds cover train and validation;
test stays out of reach. What was copied from a document (a repeat, an augmentation) trains when its original does, and never
validates.
"""

from collections.abc import Iterator
from pathlib import Path

from hanmo.base.errors import DataError
from hanmo.base.records import Document
from hanmo.base.storage import read_json
from hanmo.data.reading.read import is_dataset, read_dataset

FOLD = "fold"
REPEAT_OF = "repeat_of"
AUGMENTED_FROM = "augmented_from"
AUGMENTED_BY = "augmented_by"
MARKS_OF_COPIES = (REPEAT_OF, AUGMENTED_FROM, AUGMENTED_BY)


def read_fold(folder: Path, fold: int) -> tuple[Iterator[Document], Iterator[Document]]:
    """The documents to train on and to validate on in one fold, each a few at a time in memory.

    Raises DataError when the folder is no data set, has no folds, or not that many.
    """
    if not is_dataset(folder):
        raise DataError(f"{folder} is no data set: make one with hanmo prepare SOURCE --out {folder} --split.folds 5")
    folds = num_folds(folder)
    if not folds:
        raise DataError(f"{folder} has no folds: prepare it with --split.folds 5")
    if fold not in range(folds):
        raise DataError(f"fold (={fold}) should be from 0 to {folds - 1}: {folder} has {folds}")
    return _training(folder, str(fold)), _validation(folder, str(fold))


def num_folds(folder: Path) -> int:
    """How many folds a data set was made with; 0 for none."""
    return int(read_json(folder / "manifest.json")["settings"]["split"].get("folds", 0))


def is_copy(document: Document) -> bool:
    """Whether a document repeats another one or was made from it."""
    return REPEAT_OF in document.metadata or AUGMENTED_FROM in document.metadata


def _training(folder: Path, fold: str) -> Iterator[Document]:
    for split in ("train", "validation"):
        yield from (document for document in read_dataset(folder, split) if document.metadata[FOLD] != fold)


def _validation(folder: Path, fold: str) -> Iterator[Document]:
    for split in ("train", "validation"):
        yield from (document for document in read_dataset(folder, split) if document.metadata[FOLD] == fold and not is_copy(document))
