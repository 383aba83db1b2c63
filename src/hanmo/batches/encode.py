"""Documents become the files of a token store: in parallel, in order, and from where a killed process stopped.

In: documents and a function from texts to ids. Out: a folder beside the store, `.NAME.encoding`, that grows document by
document and is put in the store's place when it is whole. The idea: one process reads and writes, others only encode, and
what they give is written in the order it was asked for, so the bytes do not depend on their number. Every few seconds
everything is forced to the disk and `journal.json` says how far it goes; the same command goes on from there.
"""

import contextlib
import json
import multiprocessing
import os
import shutil
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import DataError, HanmoError
from hanmo.base.progress import Progress
from hanmo.base.records import Document
from hanmo.base.runtime import begin_worker
from hanmo.base.storage import read_json, sync, write_json

EncodeBatch = Callable[[Sequence[str]], list[NDArray[np.int32]]]
"""Texts -> the ids of each, without the end-of-text token."""

Rows = tuple[NDArray[np.unsignedinteger], NDArray[np.int64]]
"""Documents as stored, one after another, and the length of each."""

GROUP_DOCUMENTS, GROUP_CHARACTERS = 1024, 1_000_000
POOL_AFTER = 8_000_000
"""Characters to encode before other processes are worth their start; until then the library's threads do it."""
CHECKPOINT_BYTES = 32_000_000
INDEX = np.dtype([("tokens", "<i8"), ("bytes", "<i8"), ("digest", "<u8")])
GROWING = ("ids.bin", "documents.jsonl", "index.bin")
JOURNAL = "journal.json"


@dataclass(frozen=True)
class Earlier:
    """A whole store made with the same tokenizer: what can be taken from it."""

    folder: Path
    offsets: NDArray[np.int64]
    ids: NDArray[np.unsignedinteger]


def id_type(vocab_size: int) -> np.dtype[np.unsignedinteger]:
    """The narrowest width that holds every id."""
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


@dataclass(frozen=True)
class Vocabulary:
    """What the ids mean: equal for the parts of one store."""

    eot_id: int
    size: int
    tokenizer: str
    """Fingerprint, or "" when nobody knows; then nothing earlier is trusted."""

    @property
    def id_type(self) -> np.dtype[np.unsignedinteger]:
        """The type that ids are stored in."""
        return id_type(self.size)

    def rows(self, encoded: Sequence[NDArray[np.int32]]) -> Rows:
        """Documents behind their end-of-text tokens; raises DataError for an id outside the vocabulary."""
        lengths = np.array([len(ids) + 1 for ids in encoded], dtype=np.int64)
        flat = np.empty(int(lengths.sum()), dtype=self.id_type)
        text = np.ones(len(flat), dtype=bool)
        text[np.cumsum(lengths) - lengths] = False
        ids = np.concatenate([np.empty(0, np.int32), *encoded])
        if len(ids) and not 0 <= ids.min() <= ids.max() < self.size:
            raise DataError(f"the tokenizer gave ids from {ids.min()} to {ids.max()}, its vocabulary has {self.size:,}")
        flat[text], flat[~text] = ids, self.eot_id
        return flat, lengths


@dataclass(frozen=True)
class _Group:
    """Documents on their way: what is known before they are encoded."""

    names: list[str]
    digests: NDArray[np.uint64]
    sizes: list[int]
    places: NDArray[np.int64]
    """Where an earlier store has each document, or -1."""
    encoded: Future[Rows]


class Writer:
    """One store in the making."""

    def __init__(self, work: Path, vocabulary: Vocabulary, earlier: Earlier | None) -> None:
        self.work, self.vocabulary = work, vocabulary
        self.earlier = earlier if vocabulary.tokenizer else None
        self.resumed = self._resume()
        old = np.load(self.earlier.folder / "digests.npy") if self.earlier else np.empty(0, np.uint64)
        self._sorted = np.argsort(old, kind="stable")
        self._old = old[self._sorted]
        self._known = old if self.resumed is None else self.resumed["digest"]
        self._matching, self._prefix = True, 0
        self._files: list[BinaryIO] = []
        self._index: list[NDArray[np.void]] = []
        self._since_checkpoint = 0

    def write(self, documents: Iterable[Document], encode_batch: EncodeBatch, workers: int) -> bool:
        """Write every document; gives False, and writes nothing, when the earlier store holds exactly these."""
        with contextlib.ExitStack() as stack:
            encoder = stack.enter_context(_encoder(encode_batch, self.vocabulary, workers))
            progress = stack.enter_context(Progress(f"encode {self.work.parent.name}", unit="documents"))
            stack.callback(self._close)
            waiting: deque[_Group] = deque()
            for group in _groups(documents):
                waiting.append(self._begin(group, encoder))
                while len(waiting) > 2 * workers or (waiting and waiting[0].encoded.done()):
                    self._put(waiting.popleft())
                progress.advance(len(group))
            while waiting:
                self._put(waiting.popleft())
            if self._matching and self.earlier and self.resumed is None and self._prefix == len(self.earlier.offsets) - 1:
                return False
            self._open()
        return True

    def _begin(self, group: Sequence[Document], encoder: "EncodingPool") -> _Group:
        """Find out what has to be encoded, and ask for it."""
        texts = [document.text.encode("utf-8", "surrogatepass") for document in group]
        digests = np.array([_digest(document.id, text) for document, text in zip(group, texts, strict=True)], dtype=np.uint64)
        first = self._skip(digests)
        places = self._find(digests[first:])
        new = [document.text for document, place in zip(group[first:], places.tolist(), strict=True) if place < 0]
        names = [json.dumps(document.id, ensure_ascii=False) + "\n" for document in group[first:]]
        return _Group(names, digests[first:], [len(text) for text in texts[first:]], places, encoder.submit(new))

    def _skip(self, digests: NDArray[np.uint64]) -> int:
        """How many of these documents stand where they should already."""
        if not self._matching:
            return 0
        known = self._known[self._prefix : self._prefix + len(digests)]
        differing = np.flatnonzero(known != digests[: len(known)])
        same = int(differing[0]) if len(differing) else len(known)
        self._prefix += same
        self._matching = same == len(digests)
        return same

    def _find(self, digests: NDArray[np.uint64]) -> NDArray[np.int64]:
        if not len(self._old):
            return np.full(len(digests), -1)
        at = np.minimum(np.searchsorted(self._old, digests), len(self._old) - 1)
        return np.where(self._old[at] == digests, self._sorted[at], -1)

    def _put(self, group: _Group) -> None:
        ids, lengths = group.encoded.result()
        if not group.names:
            return
        self._open()
        if self.earlier and (group.places >= 0).any():
            ids, lengths = self._merged(group.places, ids, lengths)
        rows = np.empty(len(lengths), dtype=INDEX)
        rows["tokens"], rows["bytes"], rows["digest"] = lengths, group.sizes, group.digests
        for file, data in zip(
            self._files, (ids.tobytes(), "".join(group.names).encode("utf-8", "surrogatepass"), rows.tobytes()), strict=True
        ):
            file.write(data)
        self._since_checkpoint += sum(group.sizes)
        if self._since_checkpoint >= CHECKPOINT_BYTES:
            self._checkpoint()

    def _merged(self, places: NDArray[np.int64], ids: NDArray[np.unsignedinteger], lengths: NDArray[np.int64]) -> Rows:
        """Documents from the earlier store and new ones in their order."""
        assert self.earlier is not None
        new = iter(np.split(ids, np.cumsum(lengths)[:-1]))
        offsets, old = self.earlier.offsets, self.earlier.ids
        parts = [old[offsets[place] : offsets[place + 1]] if place >= 0 else next(new) for place in places.tolist()]
        return np.concatenate(parts), np.array([len(part) for part in parts], dtype=np.int64)

    def _open(self) -> None:
        """Files that hold the documents skipped so far, open to take more."""
        if self._files:
            return
        if self.resumed is None:
            shutil.rmtree(self.work, ignore_errors=True)
            self.work.mkdir(parents=True)
            self._copy_prefix()
        else:
            rows = self.resumed[: self._prefix]
            sizes = (int(rows["tokens"].sum()) * self.vocabulary.id_type.itemsize, _line_end(self.work, len(rows)), rows.nbytes)
            (self.work / JOURNAL).unlink()
            for name, size in zip(GROWING, sizes, strict=True):
                _own(self.work / name)
                os.truncate(self.work / name, size)
        self._files = [(self.work / name).open("ab") for name in GROWING]
        self._checkpoint()

    def _copy_prefix(self) -> None:
        count, earlier = self._prefix, self.earlier
        rows = np.empty(count, dtype=INDEX)
        if earlier is not None:
            rows["tokens"] = np.diff(earlier.offsets[: count + 1])
            rows["bytes"], rows["digest"] = np.load(earlier.folder / "bytes.npy")[:count], self._known[:count]
        (self.work / "index.bin").write_bytes(rows.tobytes())
        ids = np.empty(0, self.vocabulary.id_type) if earlier is None else earlier.ids[: int(rows["tokens"].sum())]
        (self.work / "ids.bin").write_bytes(ids.data)  # tofile would say nothing of a full disk
        with (self.work / "documents.jsonl").open("wb") as names:
            if earlier is not None:
                with (earlier.folder / "documents.jsonl").open("rb") as old:
                    names.write(old.read(_line_end(earlier.folder, count)))

    def _checkpoint(self) -> None:
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())
        sync(self.work)
        sizes = {name: (self.work / name).stat().st_size for name in GROWING}
        write_json(self.work / JOURNAL, {**vars(self.vocabulary), "sizes": sizes})
        self._since_checkpoint = 0

    def _close(self) -> None:
        for file in self._files:
            file.close()

    def _resume(self) -> NDArray[np.void] | None:
        """The index of what a killed process has left, cut to where its journal goes; None when there is nothing to trust."""
        try:
            journal = read_json(self.work / JOURNAL)
            sizes = [int(journal["sizes"][name]) for name in GROWING]
            whole = all((self.work / name).stat().st_size >= size for name, size in zip(GROWING, sizes, strict=True))
            same = {name: journal[name] for name in vars(self.vocabulary)} == vars(self.vocabulary)
        except (HanmoError, KeyError, TypeError, ValueError, OSError):
            return None
        if not (whole and same and self.vocabulary.tokenizer):
            return None
        return np.fromfile(self.work / "index.bin", dtype=INDEX, count=sizes[2] // INDEX.itemsize)


class EncodingPool:
    """Encodes texts in a thread at first, and in other processes when there is much to do."""

    def __init__(self, encode_batch: EncodeBatch, vocabulary: Vocabulary, workers: int) -> None:
        self.encode_batch, self.vocabulary, self.workers = encode_batch, vocabulary, workers
        self._thread = ThreadPoolExecutor(1)
        self._pool: ProcessPoolExecutor | None = None
        self._characters = 0

    def submit(self, texts: Sequence[str]) -> Future[Rows]:
        """The documents' rows, when they are done."""
        self._characters += sum(map(len, texts))
        if self._pool is None and self.workers > 1 and self._characters > POOL_AFTER:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.workers, context, initializer=_begin, initargs=(self.encode_batch, self.vocabulary))
        if self._pool is None:
            return self._thread.submit(_encode, self.encode_batch, self.vocabulary, texts)
        return self._pool.submit(_encode_there, texts)

    def close(self) -> None:
        """End what was started."""
        for executor in (self._pool, self._thread):
            if executor is not None:
                executor.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _encoder(encode_batch: EncodeBatch, vocabulary: Vocabulary, workers: int) -> Generator[EncodingPool]:
    encoder = EncodingPool(encode_batch, vocabulary, workers)
    try:
        yield encoder
    except BrokenProcessPool:
        raise DataError("the system ended a process that encodes, most likely for want of memory: run again with one worker") from None
    finally:
        encoder.close()


_there: list[tuple[EncodeBatch, Vocabulary]] = []


def _begin(encode_batch: EncodeBatch, vocabulary: Vocabulary) -> None:
    """One core for this process."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    begin_worker()
    _there.append((encode_batch, vocabulary))


def _encode_there(texts: Sequence[str]) -> Rows:
    return _encode(*_there[0], texts)


def _encode(encode_batch: EncodeBatch, vocabulary: Vocabulary, texts: Sequence[str]) -> Rows:
    return vocabulary.rows(encode_batch(texts) if texts else [])


def _digest(id: str, text: bytes) -> int:
    """The beginning of the SHA-256 of a document's id and text."""
    return int.from_bytes(sha256(id.encode("utf-8", "surrogatepass") + b"\0" + text).digest()[:8], "big")


def _own(path: Path) -> None:
    """A file under this name alone: a kill may have come after it was put in the store's place under a second one."""
    if path.stat().st_nlink > 1:
        copy = path.with_name(path.name + ".copy")
        shutil.copy(path, copy)
        copy.replace(path)


def _line_end(folder: Path, count: int) -> int:
    """Where the first `count` names in a folder end."""
    with (folder / "documents.jsonl").open("rb") as lines:
        return sum(len(line) for line, _ in zip(lines, range(count), strict=False))


def _groups(documents: Iterable[Document]) -> Iterator[list[Document]]:
    group, characters = list[Document](), 0
    for document in documents:
        group.append(document)
        characters += len(document.text)
        if len(group) >= GROUP_DOCUMENTS or characters >= GROUP_CHARACTERS:
            yield group
            group, characters = [], 0
    if group:
        yield group
