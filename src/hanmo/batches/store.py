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
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import DataError, HanmoError
from hanmo.base.folders import recover_folder, write_folder
from hanmo.base.progress import Progress
from hanmo.base.records import Document
from hanmo.base.storage import make_folder, read_json, sha256, storage_errors, write_json

EncodeBatch = Callable[[Sequence[str]], list[NDArray[np.int32]]]
"""Texts -> the ids of each, without the end-of-text token."""

GROUP_DOCUMENTS, GROUP_CHARACTERS = 1024, 4_000_000
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
        return np.load(self.folder / "offsets.npy")

    @cached_property
    def bytes_of_documents(self) -> NDArray[np.int64]:
        """UTF-8 bytes of each document's text, [num_documents]."""
        return np.load(self.folder / "bytes.npy")

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
            wrong = sizes != manifest["sizes"] or sizes["ids.bin"] != store.num_tokens * id_type(store.vocab_size).itemsize
        except (KeyError, ValueError, OSError) as error:
            raise DataError(f"{folder} is not a whole token store ({error}): remove the folder, it will be made again") from error
        if wrong:
            raise DataError(f"{folder}: the files do not have the sizes of manifest.json: remove the folder, it will be made again")
        if vocab_size is not None and vocab_size != store.vocab_size:
            raise DataError(
                f"{folder} was made with a vocabulary of {store.vocab_size:,}, this tokenizer has {vocab_size:,}: "
                "give its own tokenizer, or another folder"
            )
        return store

    @classmethod
    def build(
        cls, folder: Path, documents: Iterable[Document], encode_batch: EncodeBatch, eot_id: int, vocab_size: int, *, tokenizer: str = ""
    ) -> "TokenStore":
        """Encode documents into `folder`, whole or not at all, in one pass with bounded memory.

        What an earlier store holds of the same documents under the same tokenizer is taken from there, and nothing is
        written when that is all. `tokenizer` is a fingerprint of the tokenizer's file; without it, the first texts are
        encoded again to see whether it is the same. Processes that build one folder wait for the first.
        Raises DataError for no documents, or ids outside the vocabulary.
        """
        with _alone(folder):
            writer = Writer(encode_batch, eot_id, vocab_size, tokenizer, earlier=_earlier(folder, eot_id, vocab_size, tokenizer))
            with contextlib.suppress(Unchanged):
                write_folder(folder, lambda new: writer.write(new, documents))
            return cls.open(folder)


def id_type(vocab_size: int) -> np.dtype[np.unsignedinteger]:
    """The narrowest width that holds every id."""
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


class Unchanged(Exception):
    """The earlier store already holds all of this."""


class Writer:
    """Documents to files, group by group."""

    def __init__(self, encode_batch: EncodeBatch, eot_id: int, vocab_size: int, tokenizer: str, *, earlier: TokenStore | None) -> None:
        self.encode_batch, self.eot_id, self.vocab_size, self.tokenizer = encode_batch, eot_id, vocab_size, tokenizer
        self.earlier = earlier
        self.old_digests = np.load(earlier.folder / "digests.npy") if earlier else np.empty(0, np.uint64)
        self.trusted = bool(earlier and tokenizer)
        self.offsets, self.sizes, self.digests = array("q", [0]), array("q"), array("Q")
        self.reused = 0

    def write(self, folder: Path, documents: Iterable[Document]) -> None:
        """Write every file of a store; raises Unchanged when all of it is in the earlier one."""
        with (
            (folder / "ids.bin").open("wb") as ids,
            (folder / "documents.jsonl").open("w", encoding="utf-8") as names,
            Progress(f"encode {folder.parent.name}", unit="documents") as progress,
        ):
            for group in _groups(documents):
                for tokens in self.encode(group):
                    ids.write(tokens.tobytes())
                    self.offsets.append(self.offsets[-1] + len(tokens))
                names.writelines(json.dumps(document.id, ensure_ascii=False) + "\n" for document in group)
                progress.advance(len(group))
        if not self.sizes:
            raise DataError(f"there are no documents to encode for {folder.parent}: is this split of the data set empty?")
        if self.earlier and self.reused == len(self.sizes) == self.earlier.num_documents:
            raise Unchanged
        for name, values, kind in (
            ("offsets", self.offsets, np.int64),
            ("bytes", self.sizes, np.int64),
            ("digests", self.digests, np.uint64),
        ):
            np.save(folder / f"{name}.npy", np.frombuffer(values, dtype=kind))
        write_json(folder / "manifest.json", self.manifest(folder))

    def manifest(self, folder: Path) -> dict[str, object]:
        """Sizes and digests of what was written."""
        return {
            "documents": len(self.sizes),
            "tokens": self.offsets[-1],
            "bytes": sum(self.sizes),
            "vocab_size": self.vocab_size,
            "eot_id": self.eot_id,
            "tokenizer": self.tokenizer,
            "sizes": {name: (folder / name).stat().st_size for name in FILES},
            "sha256": _digest(folder),
        }

    def encode(self, group: Sequence[Document]) -> list[NDArray[np.unsignedinteger]]:
        """End-of-text token and ids of each document, from the earlier store where it has them."""
        first = len(self.sizes)
        texts = [document.text.encode("utf-8", "surrogatepass") for document in group]
        digests = [_document_digest(document.id, text) for document, text in zip(group, texts, strict=True)]
        self.sizes.extend(len(text) for text in texts)
        self.digests.extend(digests)
        same = [
            self.earlier is not None and i < len(self.old_digests) and int(self.old_digests[i]) == d for i, d in enumerate(digests, first)
        ]
        new = [i for i, known in enumerate(same) if not (known and self.trusted)]
        encoded = dict(zip(new, self.encode_batch([group[i].text for i in new]), strict=True)) if new else {}
        rows = [self.row(encoded[i]) if i in encoded else self.old(first + i) for i in range(len(group))]
        if self.earlier and not self.trusted:
            self.trusted = all(np.array_equal(rows[i], self.old(first + i)) for i in new if same[i])
            if not self.trusted:
                self.earlier = None
        self.reused += sum(same) if self.earlier else 0
        return rows

    def row(self, ids: NDArray[np.int32]) -> NDArray[np.unsignedinteger]:
        """One document as stored; raises DataError for an id outside the vocabulary."""
        if len(ids) and not 0 <= ids.min() <= ids.max() < self.vocab_size:
            raise DataError(f"the tokenizer gave ids from {ids.min()} to {ids.max()}, its vocabulary has {self.vocab_size:,}")
        return np.concatenate(([self.eot_id], ids)).astype(id_type(self.vocab_size))

    def old(self, index: int) -> NDArray[np.unsignedinteger]:
        """One document of the earlier store as stored."""
        assert self.earlier is not None
        start, end = self.earlier.offsets[index : index + 2]
        return self.earlier.ids[start:end]


def _document_digest(id: str, text: bytes) -> int:
    digest = hashlib.sha256(id.encode("utf-8", "surrogatepass") + b"\0" + text).digest()
    return int.from_bytes(digest[:8], "big")


def _groups(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Documents by hundreds; the first group is small, for it may be encoded only to be compared."""
    group, characters = list[Document](), 0
    most = GROUP_CHARACTERS // 16
    for document in documents:
        group.append(document)
        characters += len(document.text)
        if len(group) >= GROUP_DOCUMENTS or characters >= most:
            yield group
            group, characters, most = [], 0, GROUP_CHARACTERS
    if group:
        yield group


def _earlier(folder: Path, eot_id: int, vocab_size: int, tokenizer: str) -> TokenStore | None:
    """A whole store in this place made with the same vocabulary, as far as the manifest can tell."""
    try:
        store = TokenStore.open(folder)
    except HanmoError:
        return None
    known = (store.eot_id, store.vocab_size, store.manifest.get("tokenizer"))
    return store if known == (eot_id, vocab_size, tokenizer) else None


def _digest(folder: Path) -> str:
    """SHA-256 over the files' contents in order."""
    total = hashlib.sha256()
    for name in FILES:
        total.update(sha256(folder / name).encode())
    return total.hexdigest()


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
