"""Encoded documents on disk, read through memory maps.

ids.bin          uint16 or uint32 little-endian: every document as end-of-text token + its tokens
offsets.npy      int64 [documents + 1]: where each document begins in ids.bin
bytes.npy        int64 [documents]: UTF-8 bytes of each document's text
digests.npy      uint64 [documents]: the beginning of the SHA-256 of each document's id and text
documents.jsonl  the documents' ids, one JSON string a line
manifest.json    sizes, vocabulary and SHA-256 of the files
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Generator, Iterable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import DataError, HanmoError
from hanmo.base.folders import recover_folder, write_folder
from hanmo.base.records import Document
from hanmo.base.storage import make_folder, read_json, sha256, storage_errors, write_json
from hanmo.batches.encode import INDEX, Earlier, EncodeBatch, Vocabulary, Writer, id_type

FILES = ("ids.bin", "offsets.npy", "bytes.npy", "digests.npy", "documents.jsonl")


class TokenStore:
    """One split's tokens, opened by `open` or made by `build`."""

    def __init__(self, folder: Path, manifest: dict[str, object]) -> None:
        self.folder = folder
        self.manifest = manifest
        self.num_documents = _number(manifest, "documents")
        self.num_tokens = _number(manifest, "tokens")
        self.num_bytes = _number(manifest, "bytes")
        self.vocab_size = _number(manifest, "vocab_size")
        self.eot_id = _number(manifest, "eot_id")

    @cached_property
    def ids(self) -> NDArray[np.unsignedinteger]:
        """All tokens, [num_tokens], in the file's own width."""
        mapped = np.memmap(self.folder / "ids.bin", dtype=id_type(self.vocab_size), mode="r")
        return np.asarray(mapped)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where each document begins, and the end, [num_documents + 1]."""
        return _array(self.folder / "offsets.npy")

    @cached_property
    def bytes_of_documents(self) -> NDArray[np.int64]:
        """UTF-8 bytes of each document's text, [num_documents]."""
        return _array(self.folder / "bytes.npy")

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all content, from the manifest."""
        return str(self.manifest["sha256"])

    def document(self, index: int) -> NDArray[np.int64]:
        """The ids of one document, the end-of-text token first."""
        start, end = self.offsets[index : index + 2]
        return self.ids[start:end].astype(np.int64)

    def document_ids(self) -> Iterator[str]:
        """The documents' ids in order."""
        with (self.folder / "documents.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)

    def check(self) -> None:
        """Read everything and compare it with the manifest.

        Raises DataError for a file that has changed.
        """
        if _digest(self.folder) != self.fingerprint:
            raise DataError(f"{self.folder} has changed since it was written (SHA-256 differs): remove the folder, it will be made again")

    @classmethod
    def open(cls, folder: Path, vocab_size: int | None = None) -> "TokenStore":
        """The tokens in a folder; sizes are checked against the manifest, and the vocabulary when it is given.

        Raises DataError or StorageError when something does not fit.
        """
        recover_folder(folder)
        if not (folder / "manifest.json").is_file():
            raise DataError(f"{folder} holds no tokens: manifest.json is missing")
        manifest = read_json(folder / "manifest.json")
        try:
            store = cls(folder, manifest)
            sizes = {name: (folder / name).stat().st_size for name in FILES}
            wrong = not store.fingerprint or sizes != manifest["sizes"]
            wrong |= sizes["ids.bin"] != store.num_tokens * id_type(store.vocab_size).itemsize
        except (KeyError, ValueError, OSError) as error:
            raise DataError(f"{folder} is not a whole token store ({error}): remove the folder, it will be made again") from error
        counts = (store.num_documents + 1,), (store.num_documents,)
        if wrong or (store.offsets.shape, store.bytes_of_documents.shape) != counts:
            raise DataError(f"{folder}: the files do not have the sizes of manifest.json: remove the folder, it will be made again")
        if vocab_size is not None and vocab_size != store.vocab_size:
            raise DataError(
                f"{folder} was made with a vocabulary of {store.vocab_size:,}, this tokenizer has {vocab_size:,}: "
                "give its own tokenizer, or another folder"
            )
        return store

    @classmethod
    def build(
        cls,
        folder: Path,
        documents: Iterable[Document],
        encode_batch: EncodeBatch,
        eot_id: int,
        vocab_size: int,
        *,
        tokenizer: str = "",
        workers: int = 1,
    ) -> "TokenStore":
        """Encode documents into `folder`, whole or not at all, in one pass with bounded memory.

        `tokenizer` is a fingerprint of the tokenizer's file: what an earlier store, or a killed process, holds of the same
        documents under the same tokenizer is taken from there, and nothing is written when that is all. With more than one
        of `workers`, `encode_batch` runs in other processes, so it has to be a function of a module or the method of
        something that can be sent there. Processes that build one folder wait for the first.
        Raises DataError for no documents, or ids outside the vocabulary.
        """
        vocabulary = Vocabulary(eot_id, vocab_size, tokenizer)
        work = folder.with_name(f".{folder.name}.encoding")
        with _alone(folder), storage_errors(folder):
            earlier = _earlier(folder, vocabulary)
            writer = Writer(work, vocabulary, Earlier(earlier.folder, earlier.offsets, earlier.ids) if earlier else None)
            if writer.write(documents, encode_batch, workers) and _finish(work, vocabulary, earlier):
                write_folder(folder, lambda new: _link(work, new))
            shutil.rmtree(work, ignore_errors=True)
        return cls.open(folder)


def _finish(work: Path, vocabulary: Vocabulary, earlier: TokenStore | None) -> bool:
    """Write what a store has beside tokens and names; False when the earlier store is the same."""
    index = np.fromfile(work / "index.bin", dtype=INDEX)
    if not len(index):
        shutil.rmtree(work)
        raise DataError(f"there are no documents to encode for {work.parent}: is this split of the data set empty?")
    np.save(work / "offsets.npy", np.concatenate(([0], np.cumsum(index["tokens"], dtype=np.int64))))
    np.save(work / "bytes.npy", index["bytes"].astype(np.int64))
    np.save(work / "digests.npy", index["digest"].astype(np.uint64))
    digest = _digest(work)
    manifest: dict[str, object] = {
        "documents": len(index),
        "tokens": int(index["tokens"].sum()),
        "bytes": int(index["bytes"].sum()),
        "vocab_size": vocabulary.size,
        "eot_id": vocabulary.eot_id,
        "tokenizer": vocabulary.tokenizer,
        "sizes": {name: (work / name).stat().st_size for name in FILES},
        "sha256": digest,
    }
    write_json(work / "manifest.json", manifest)
    return earlier is None or earlier.fingerprint != digest


def _link(work: Path, new: Path) -> None:
    """Give the finished files another name; where the system knows no second names, move them."""
    for name in (*FILES, "manifest.json"):
        try:
            os.link(work / name, new / name)
        except OSError:
            (work / name).replace(new / name)


def _earlier(folder: Path, vocabulary: Vocabulary) -> TokenStore | None:
    """A whole store in this place made with the same vocabulary, as far as the manifest can tell."""
    try:
        store = TokenStore.open(folder)
    except HanmoError:
        return None
    known = Vocabulary(store.eot_id, store.vocab_size, str(store.manifest.get("tokenizer")))
    return store if known == vocabulary else None


def _digest(folder: Path) -> str:
    """SHA-256 over the files' contents in order."""
    total = hashlib.sha256()
    for name in FILES:
        total.update(sha256(folder / name).encode())
    return total.hexdigest()


def _array(path: Path) -> NDArray[np.int64]:
    """The array in a file.

    Raises DataError for a damaged one, at which numpy raises whatever its parser of Python happens to.
    """
    try:
        found = np.load(path)
    except Exception as error:
        raise DataError(f"{path} is damaged ({error}): remove its folder, it will be made again") from error
    if found.dtype != np.int64:
        raise DataError(f"{path} holds {found.dtype}, not int64: remove its folder, it will be made again")
    return found


def _number(manifest: dict[str, object], key: str) -> int:
    value = manifest[key]
    if not isinstance(value, int):
        raise ValueError(f"{key} is {value!r}, not a whole number")
    return value


@contextlib.contextmanager
def _alone(folder: Path) -> Generator[None]:
    """Only one process at a time builds a folder; a killed one's lock falls with it."""
    make_folder(folder.absolute().parent)
    lock = folder.with_name(f".{folder.name}.lock")
    with storage_errors(lock), lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
