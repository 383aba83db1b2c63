"""Sound files of every kind that holds text, one in a folder, for the readers of data; tokenizers as their makers leave them.

In: nothing. Out: name -> the file or files. Packed kinds come from the tests of their readers.
"""

import gzip
import io
import json
import zipfile
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
from tests.data.reading.test_books import BOOK
from tests.data.reading.test_notebooks import CELLS
from tests.data.reading.test_office import BODY, docx, odf
from tests.data.reading.test_pdf import lines, pdf
from tests.data.reading.test_warc import warc
from tests.tokenizer.conftest import pieces, sentencepiece_file
from tests.tokenizer.test_vocabulary_files import byte_pairs

from hanmo.tokenizer.load import EOT

RAIN = "The rain had stopped, and the street smelled of warm stone."
LETTER = "她把信折好，放进抽屉，什么也没有说。"
PAGE = f"<html><head><meta charset='gbk'><title>t</title></head><body><p>{LETTER}<p>{RAIN}<ruby>一夜<rt>yiye</rt></ruby></body></html>"
SUBTITLES = f"1\n00:00:01,000 --> 00:00:02,500\n{RAIN}\n\n2\n00:00:03,000 --> 00:00:04,000\n<i>{LETTER}</i>\n"
TURNS = [{"role": "user", "content": RAIN}, {"role": "assistant", "content": LETTER}]


def sound_texts() -> dict[str, tuple[str, bytes]]:
    """Seed -> (file name, content)."""
    rows = [{"id": str(number), "text": text, "n": number} for number, text in enumerate((RAIN, LETTER))]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", RAIN)
        archive.writestr("b/c.jsonl", json.dumps(rows[1], ensure_ascii=False))
    found = {
        "plain": ("a.txt", f"{RAIN}\n\n第一章 雨\n{LETTER}\n".encode()),
        "gbk": ("a.txt", (LETTER * 3).encode("gbk")),
        "utf-16": ("a.txt", (RAIN + LETTER).encode("utf-16")),
        "markdown": ("a.md", f"# {RAIN}\n\n{LETTER}\n\n## b\n\n- {RAIN}\n".encode()),
        "csv": ("a.csv", f'sep=;\nid; text ;n\n1;"{RAIN}";2\n2;"{LETTER}\n""x""";3\n'.encode()),
        "tsv": ("a.tsv", f'id\ttext\n1\t{RAIN}\n2\t"{LETTER}\n'.encode()),
        "jsonl": ("part-00000", "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()),
        "json": ("a.json", json.dumps(rows).encode()),
        "turns": ("a.jsonl", "\n".join(json.dumps({"messages": TURNS}) for _ in range(2)).encode()),
        "page": ("index.php", PAGE.encode("gbk")),
        "subtitles": ("a.srt", SUBTITLES.encode()),
        "notebook": ("a.ipynb", json.dumps({"cells": CELLS, "metadata": {}, "nbformat": 4}).encode()),
        "book": ("a.epub", BOOK),
        "docx": ("a.docx", docx(BODY)),
        "odt": ("a.odt", odf("text")),
        "pdf": ("a.pdf", pdf([lines([RAIN, "and a second line"]), lines(["another page"])])),
        "warc": ("a.warc", warc([("200 OK", "text/html; charset=gbk", PAGE.encode("gbk")), ("200 OK", "text/plain", RAIN.encode())])),
        "gzip": ("a.txt.gz", gzip.compress((RAIN + LETTER).encode(), mtime=0)),
        "zip": ("a.zip", packed.getvalue()),
        "parquet": ("a.parquet", _table()),
    }
    return {f"data {name}": each for name, each in found.items()}


def sound_vocabularies() -> dict[str, tuple[int, dict[str, bytes]]]:
    """Seed -> (number of tokens, the files of a tokenizer without tokenizer.json)."""
    vocabulary, merges = byte_pairs()
    vocabulary[EOT] = len(vocabulary)
    known = [(name, -float(id), 6 if name.startswith("<0x") else 3 if name in ("<s>", "</s>") else 1) for name, id in pieces().items()]
    known[0] = ("<unk>", 0.0, 2)
    return {
        "vocab.json and merges.txt": (
            len(vocabulary),
            {
                "vocab.json": json.dumps(vocabulary).encode(),
                "merges.txt": merges.encode(),
                "tokenizer_config.json": json.dumps({"tokenizer_class": "GPT2Tokenizer"}).encode(),
            },
        ),
        "tokenizer.model": (
            len(known),
            {
                "tokenizer.model": sentencepiece_file(known, 2),
                "tokenizer_config.json": json.dumps({"tokenizer_class": "LlamaTokenizer"}).encode(),
            },
        ),
    }


def _table() -> bytes:
    """Columns of the kinds that people bring: text, numbers, times, lists."""
    out = io.BytesIO()
    times = [datetime(2026, 1, 1, tzinfo=UTC), None]
    columns = {"text": [RAIN, LETTER], "n": [1, None], "when": times, "tags": [["a"], []]}
    pq.write_table(pa.table(columns), out)
    return out.getvalue()
