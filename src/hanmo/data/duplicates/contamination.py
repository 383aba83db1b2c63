"""Documents that hold pieces of an evaluation set are found, with the item and the share of it that leaked.

In: items to protect, then documents. Out: for each document the items it shares 13 words in a row with (Brown et al. 2020, appendix C);
a Chinese, Japanese or Korean character counts as a word. Case, width, spacing and punctuation make no difference. An item of
5 to 12 words is compared whole: with the document, and with each of its lines; shorter ones say too little. The idea: the
hash of every 13 words of all items in one sorted array, looked up for all windows of a document at once, so nothing of 13 words
is ever missed. Of words that stand in many items (a prompt around each) the first 20 places are kept: a hit is never
lost, but not every item that it could be is named. Memory: about 100 bytes a word of the items while the index is made, then 32, which
processes share; it grows with what is protected, not with the data.
"""

import functools
import re
import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import ConfigError
from hanmo.base.storage import make_folder, storage_errors
from hanmo.data.duplicates.letters import Hashes, WordHashes, mix, windows, words
from hanmo.data.reading.items import Item, read_items
from hanmo.data.reading.remote import is_url, without_secrets

WINDOW = 13
SHORTEST = 5
PLACES = 20
BLOCK_WORDS = 1 << 20  # of a document at a time
AROUND = 40  # characters of a document shown on both sides of a piece
LONGEST_SHOWN = 600
CONTAMINATED = "contaminated"
ARRAYS = ("lengths", "windows", "borders", "places", "items", "whole", "whole_items")
UNBROKEN = re.compile(r"[\w.@+-]+", re.ASCII)
UNBROKEN_END = re.compile(r"[\w.@+-]*\Z", re.ASCII)
Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class ContaminationConfig:
    """Which evaluation sets no document may hold."""

    against: tuple[str, ...] = ()
    """Files, folders or data sets with what models will be measured on; every text in every row and column counts."""
    max_share: float = 0.0
    """Largest share of an item's words that may stand in a document, in pieces of 13 words or whole when it is shorter; 0 for none."""

    def __post_init__(self) -> None:
        """Check the range.

        Raises ConfigError naming the key.
        """
        if not 0 <= self.max_share < 1:
            raise ConfigError(f"contamination.max_share (={self.max_share}) should be at least 0 and below 1")
        for path in filter(is_url, self.against):
            raise ConfigError(f"contamination.against (={without_secrets(path)}) is a URL: give files or folders of this machine")


@dataclass(frozen=True, slots=True)
class Hit:
    """An item found in a document: `covered` of its `length` words, and the characters where the first piece stands there."""

    item: int
    covered: int
    length: int
    span: tuple[int, int]

    @property
    def share(self) -> float:
        """Share of the item's words."""
        return self.covered / self.length


@dataclass(frozen=True, slots=True)
class Names:
    """Names of items, one after the other as UTF-8, and where each ends."""

    letters: NDArray[np.uint8]
    ends: Integers

    @classmethod
    def of(cls, names: Iterable[str]) -> "Names":
        """Names on one line each."""
        encoded = [name.replace("\n", " ").encode("utf-8", "surrogatepass") for name in names]
        return cls(np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([len(name) for name in encoded], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, item: int) -> str:
        start = int(self.ends[item - 1]) if item else 0
        return self.letters[start : int(self.ends[item])].tobytes().decode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Index:
    """All items, ready to be looked up.

    `windows` are sorted hashes, those of window i standing at `places[borders[i]:borders[i + 1]]`, which count the words of all
    items; `items` tells whose each word is; `whole` are sorted hashes of short items and `whole_items` whose they are.
    """

    names: Names
    lengths: Integers
    windows: Hashes
    borders: Integers
    places: Integers
    items: Integers
    whole: Hashes
    whole_items: Integers


def build_index(items: Iterable[Item]) -> Index:
    """An index over items; of a text file each line is one, and 13 words may run over the ends of its lines."""
    names: list[str] = []
    lengths: list[int] = []
    owners: list[Integers] = []
    grams: list[tuple[Hashes, Integers]] = []
    whole: list[tuple[int, int]] = []
    total = 0
    for item in items:
        found = words(item.text)
        if not len(found):
            continue
        lines, firsts = np.unique(found.lines if item.by_line else np.zeros(len(found), np.int64), return_index=True)
        borders = np.append(firsts, len(found))
        counts = np.diff(borders)
        whole += [(_whole(found.hashes[borders[i] : borders[i + 1]]), len(names) + i) for i in np.flatnonzero(_is_short(counts)).tolist()]
        owners.append(len(names) + np.repeat(np.arange(len(lines)), counts))
        names += [item.line_name(line) for line in lines.tolist()]
        lengths += counts.tolist()
        hashes = mix(windows(found.hashes, WINDOW))
        grams.append((hashes, total + np.arange(len(hashes))))
        total += len(found)
    return _sorted_index(names, lengths, owners, grams, whole)


def find_hits(text: str, index: Index) -> list[Hit]:
    """The items that a text holds a piece of, in their order."""
    found = words(text)
    mine, theirs = _matches(found, index)
    hits: dict[int, Hit] = {}
    if len(theirs):
        covered = np.unique((theirs[:, None] + np.arange(WINDOW)).ravel())
        items, counts = np.unique(index.items[covered], return_counts=True)
        enough = counts >= np.minimum(WINDOW, index.lengths[items])
        firsts = np.searchsorted(theirs + WINDOW, np.searchsorted(index.items, items), side="right")
        for item, count, at in zip(items[enough].tolist(), counts[enough].tolist(), firsts[enough].tolist(), strict=True):
            start, stop = int(mine[at]), _end_of_run(mine, theirs, at)
            span = int(found.starts[start]), int(found.stops[stop - 1])
            hits[item] = Hit(item, count, int(index.lengths[item]), span)
    for item, start, stop in _whole_matches(found, index):
        hits.setdefault(item, Hit(item, stop - start, stop - start, (int(found.starts[start]), int(found.stops[stop - 1]))))
    return [hits[item] for item in sorted(hits)]


def worst_hit(text: str, index: Index) -> Hit | None:
    """The item of which a text holds the largest share; the first among equals."""
    return max(find_hits(text, index), key=lambda hit: (hit.share, -hit.item), default=None)


def index_files(paths: Iterable[str | Path]) -> Index:
    """An index over all items of files, folders and data sets."""
    return build_index(item for path in paths for item in read_items(Path(path)))


def detail_of(hit: Hit, index: Index) -> str:
    """A hit in the words of a receipt."""
    return f"{index.names[hit.item]}: {hit.covered} of {hit.length} words"


def item_of(detail: str) -> str:
    """The item that the words of a receipt name.

    >>> item_of("exam.jsonl#3:question: 13 of 15 words")
    'exam.jsonl#3:question'
    """
    return detail.rpartition(": ")[0]


def item_texts(paths: Iterable[str | Path], names: Collection[str]) -> dict[str, str]:
    """The texts of some items, each on one line, by the names that hits give."""
    wanted, found = set(names), dict[str, str]()
    for item in (item for path in paths if wanted for item in read_items(Path(path), lambda _: None)):  # told when it was indexed
        for line, text in enumerate(item.text.split("\n") if item.by_line else [item.text]):
            if (name := item.line_name(line).replace("\n", " ")) in wanted:
                found.setdefault(name, passage(text))
    return found


def passage(text: str, span: tuple[int, int] | None = None) -> str:
    """A text on one line, or the passage of it with a little around; a long one ends with three dots.

    What is around begins and ends between words, addresses and numbers, so that none is shown in part.
    """
    start, stop = span or (0, len(text))
    begin, end = max(0, start - AROUND), min(len(text), stop + AROUND)
    if begin and (cut := UNBROKEN.match(text, begin - 1, start)):
        begin = cut.end()
    if end < len(text) and UNBROKEN.match(text, end) and (cut := UNBROKEN_END.search(text, stop, end)):
        end = cut.start()
    shown = " ".join(text[begin:end].split())
    return shown if len(shown) <= LONGEST_SHOWN else shown[:LONGEST_SHOWN] + " ..."


def save_index(index: Index, folder: Path) -> None:
    """Write an index as a folder of arrays, whole or not at all."""
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    make_folder(temporary)
    with storage_errors(folder):
        for field in ARRAYS:
            np.save(temporary / f"{field}.npy", getattr(index, field), allow_pickle=False)
        np.save(temporary / "letters.npy", index.names.letters, allow_pickle=False)
        np.save(temporary / "ends.npy", index.names.ends, allow_pickle=False)
        temporary.rename(folder)


@functools.lru_cache(1)
def load_index(folder: Path) -> Index:
    """An index that was saved, mapped: all processes that look into it share one copy in memory."""
    arrays = {field: np.load(folder / f"{field}.npy", mmap_mode="r", allow_pickle=False) for field in (*ARRAYS, "letters", "ends")}
    return Index(names=Names(arrays.pop("letters"), arrays.pop("ends")), **arrays)


def _sorted_index(
    names: list[str], lengths: list[int], owners: list[Integers], grams: list[tuple[Hashes, Integers]], whole: list[tuple[int, int]]
) -> Index:
    hashes = np.concatenate([np.zeros(0, np.uint64), *(gram for gram, _ in grams)])
    places = np.concatenate([np.zeros(0, np.int64), *(place for _, place in grams)])
    order = np.lexsort((places, hashes))
    hashes, places = hashes[order], places[order]
    unique, firsts, counts = np.unique(hashes, return_index=True, return_counts=True)
    kept = np.arange(len(hashes)) - np.repeat(firsts, counts) < PLACES
    short = sorted(whole)
    return Index(
        names=Names.of(names),
        lengths=np.array(lengths, np.int64),
        windows=unique,
        borders=np.concatenate([[0], np.cumsum(np.minimum(counts, PLACES))]).astype(np.int64),
        places=places[kept],
        items=np.concatenate([np.zeros(0, np.int64), *owners]),
        whole=np.array([value for value, _ in short], np.uint64),
        whole_items=np.array([item for _, item in short], np.int64),
    )


def found_places(found: WordHashes, index: Index) -> tuple[tuple[Integers, Integers], tuple[Integers, Integers]]:
    """Of a text's 13 words in a row that some item has: their numbers in the index, and their first words; of short items the same."""
    blocks = [(np.zeros(0, np.int64), np.zeros(0, np.int64)), *_windows_found(found, index)]
    whole = np.array([(first, start) for (first, _), start, _ in _whole_found(found, index)], np.int64).reshape(-1, 2)
    starts, numbers = np.concatenate([each for each, _ in blocks]), np.concatenate([each for _, each in blocks])
    return (numbers, starts), (whole[:, 0], whole[:, 1])


def _windows_found(found: WordHashes, index: Index) -> Iterator[tuple[Integers, Integers]]:
    """(first word of the text, number of the window in the index) where 13 equal words begin, some at a time."""
    for start in range(0, len(found) - WINDOW + 1 if len(index.windows) else 0, BLOCK_WORDS):
        hashes = mix(windows(found.hashes[start : start + BLOCK_WORDS + WINDOW - 1], WINDOW))
        places = np.minimum(np.searchsorted(index.windows, hashes), len(index.windows) - 1)
        equal = np.flatnonzero(index.windows[places] == hashes)
        if len(equal):
            yield start + equal, places[equal]


def _matches(found: WordHashes, index: Index) -> tuple[Integers, Integers]:
    """Pairs (word of the document, word of all items) where 13 equal words begin, in the order of the items' words."""
    pairs = [np.zeros((0, 2), np.int64)]
    for starts, numbers in _windows_found(found, index):
        firsts, ends = index.borders[numbers], index.borders[numbers + 1]
        counts = ends - firsts
        running = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        pairs.append(np.stack([np.repeat(starts, counts), index.places[np.repeat(firsts, counts) + running]], axis=1))
    joined = np.concatenate(pairs)
    joined = joined[np.lexsort((joined[:, 0], joined[:, 1]))]
    return joined[:, 0], joined[:, 1]


def _end_of_run(mine: Integers, theirs: Integers, at: int) -> int:
    """The word of the document after the equal run that begins with match `at`."""
    same = theirs[at:] - mine[at:] == theirs[at] - mine[at]
    run = theirs[at:][same]
    end = int(np.flatnonzero(np.append(np.diff(run) != 1, True))[0])
    return int(mine[at]) + end + WINDOW


def _whole_matches(found: WordHashes, index: Index) -> Iterator[tuple[int, int, int]]:
    """(item, first word, end) of each short item that is a line of the document, or all of it."""
    for (first, end), start, stop in _whole_found(found, index):
        for item in index.whole_items[first : min(end, first + PLACES)].tolist():
            yield item, start, stop


def _whole_found(found: WordHashes, index: Index) -> Iterator[tuple[tuple[int, int], int, int]]:
    """(the equal short items of the index as first and end, first word, end) of each line of the document that is one, and all of it."""
    if not len(index.whole) or not len(found):
        return
    firsts = np.flatnonzero(np.append(True, np.diff(found.lines) > 0))
    borders = np.append(firsts, len(found))
    spans = [(int(borders[i]), int(borders[i + 1])) for i in np.flatnonzero(_is_short(np.diff(borders))).tolist()]
    if SHORTEST <= len(found) < WINDOW and len(firsts) > 1:
        spans.append((0, len(found)))
    for start, stop in spans:
        value = np.uint64(_whole(found.hashes[start:stop]))
        first, end = int(np.searchsorted(index.whole, value)), int(np.searchsorted(index.whole, value, side="right"))
        if first < end:
            yield (first, end), start, stop


def _is_short(counts: Integers) -> NDArray[np.bool_]:
    return (counts >= SHORTEST) & (counts < WINDOW)


def _whole(hashes: Hashes) -> int:
    """One hash of several words, their number included."""
    return int(mix(windows(hashes, len(hashes)) + np.uint64(len(hashes)))[0])
