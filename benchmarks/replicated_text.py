"""What the benchmarks of hanmo prepare share: files of any size made from real text, and the memory of a family of processes."""

import json
import random
import re
import threading
from pathlib import Path

FILES = 4
SENTENCE = re.compile(r"(?<=[.!?。！？])\s*|\n+")
HAN = re.compile("[\u4e00-\u9fff]")


def make_corpus(paths: list[Path], out: Path, megabytes: float) -> dict[str, float]:
    """Write files of documents, `en-*.jsonl` and `zh-*.jsonl`; gives their number and size."""
    from hanmo.data.reading.items import read_items

    dice = random.Random(0)
    texts: dict[str, list[str]] = {"en": [], "zh": []}
    for item in (item for path in paths for item in read_items(path)):
        if len(item.text) > 400:
            texts["zh" if len(HAN.findall(item.text)) > len(item.text) / 4 else "en"].append(item.text)
    documents = size = 0
    for language, found in texts.items():
        pool = [sentence for text in found for sentence in SENTENCE.split(text) if len(sentence.strip()) > 4]
        lengths = [min(len(text), 20_000) for text in found]
        with _Files(out, language) as files:
            while files.size < megabytes * 1e6 / len(texts):
                text = _document(dice, pool, dice.choice(lengths), " " if language == "en" else "")
                files.write(text)
                if dice.random() < 0.05:
                    files.write(_changed(dice, text))
            documents, size = documents + files.count, size + files.size
    return {"documents": documents, "megabytes": size / 1e6}


class _Files:
    """Several files of rows, filled in turn."""

    def __init__(self, folder: Path, language: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._streams = [(folder / f"{language}-{number}.jsonl").open("w", encoding="utf-8") for number in range(FILES)]
        self._language, self.count, self.size = language, 0, 0

    def write(self, text: str) -> None:
        row = {"text": text, "id": f"{self._language}{self.count}"}
        self._streams[self.count % FILES].write(json.dumps(row, ensure_ascii=False) + "\n")
        self.count += 1
        self.size += len(text.encode())

    def __enter__(self) -> "_Files":
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self._streams:
            stream.close()


def _document(dice: random.Random, pool: list[str], length: int, separator: str) -> str:
    parts: list[str] = []
    while length > 0:
        parts.append(dice.choice(pool))
        length -= len(parts[-1])
    return "".join(part + ("\n" if number % 6 == 5 else separator) for number, part in enumerate(parts))


def _changed(dice: random.Random, text: str) -> str:
    places = sorted(dice.sample(range(len(text)), len(text) // 50))
    return "".join(text[a:b] + "x" for a, b in zip([0, *places], [*places, len(text)], strict=True))


class PeakMemory(threading.Thread):
    """The largest sum of proportional set sizes of a process and its children."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self._process, self._ended, self._peak = process, threading.Event(), 0
        self.start()

    def run(self) -> None:
        """Look five times a second."""
        import psutil

        while not self._ended.wait(0.2):
            try:
                parent = psutil.Process(self._process)
                self._peak = max(self._peak, sum(each.memory_full_info().pss for each in (parent, *parent.children(recursive=True))))
            except psutil.Error:
                continue

    def stop(self) -> int:
        """The largest sum seen."""
        self._ended.set()
        self.join()
        return self._peak
