"""Odd files of every kind, made here, with what the receipts should say of each."""

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

STORY = "清晨的集市上已经热闹起来，卖菜的老人把新摘的豆角摆成一排，孩子们在人群里跑来跑去，笑声传得很远。"
WINTER = "冬天的山村很安静，屋顶积着厚厚的雪，炊烟从烟囱里升起来，狗在院子里打盹，远处传来劈柴的响声。"
HARBOUR = "Boats came back to the harbour at dusk with their nets full, and women on the quay sang while they sorted fish."
RIVER = "河水从石桥下面慢慢流过，两岸的柳树垂到水里，放学的男孩坐在船头钓鱼，他的姐姐在树荫里读一本旧书。"
POLISH = "Stary człowiek na targu układał fasolę w rzędach, a dzieci biegały między straganami, śmiejąc się aż do południa."
TRADITIONAL = "清晨的集市上已經熱鬧起來，賣菜的老人把新摘的豆角擺成一排，孩子們在人群裡跑來跑去，笑聲傳得很遠。"
ENGLISH = "The old man at the corner of the market lays out his beans in a row every morning, long before anybody comes."


def zipped(members: dict[str, bytes], encrypted: bool = False) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    data = bytearray(out.getvalue())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)) if encrypted else ():
        data[data.index(signature) + offset] |= 1
    return bytes(data)


def tarred(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in members.items():
            item = tarfile.TarInfo(name)
            item.size = len(data)
            archive.addfile(item, io.BytesIO(data))
    return out.getvalue()


def number(text: str, count: int) -> str:
    """A text that differs from the others, so that none is a duplicate."""
    return f"第{count}篇。{text}"


def files() -> dict[str, tuple[bytes, dict[str, str]]]:
    """Name -> (content, what the receipts should say below that name)."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"words": [STORY]}), sink)
    rows = json.dumps({"text": number(STORY, 9)}, ensure_ascii=False)
    return {
        "01-gzip.txt": (gzip.compress(number(STORY, 1).encode(), mtime=0), {"": ""}),
        "02-zip.jsonl": (zipped({"a.txt": number(STORY, 2).encode(), "b/c.txt": ENGLISH.encode()}), {"/a.txt": "", "/b/c.txt": ""}),
        "03-plain.jsonl": (f"{STORY}\n{STORY}\n".encode(), {"": "wrong_format"}),
        "04-empty.parquet": (b"", {"": "empty"}),
        "05-locked.zip": (
            zipped({"secret.txt": STORY.encode(), "open.txt": number(STORY, 5).encode()}, encrypted=True),
            {"/secret.txt": "encrypted", "/open.txt": ""},
        ),
        "06-bomb.zip": (zipped({"zeros.jsonl": b"0" * 2**25}), {"/zeros.jsonl": "bomb"}),
        "07-bomb.txt.gz": (gzip.compress(b"\0" * 2**25), {"": "binary"}),
        "08-bomb.txt.bz2": (bz2.compress(b"words " * 2**23), {"": "bomb"}),
        "09-nested.zip": (zipped({"inner.zip": zipped({"a.txt": STORY.encode()})}), {"/inner.zip": "nested_archive"}),
        "10-cut.txt.gz": (gzip.compress(os.urandom(3000).hex().encode())[:-100], {"": "unreadable"}),
        "11-cut.txt.xz": (lzma.compress(STORY.encode() * 30)[:-20], {"": "unreadable"}),
        "12-broken.txt": (STORY.encode()[:39] + b"\xff" + STORY.encode()[39:], {"": "max_replacement_share"}),
        "80-polish.txt": (POLISH.encode("cp1250"), {"": ""}),
        "81-hz.txt": (number(STORY, 81).encode("hz"), {"": ""}),
        "82-rows.jsonl": (
            f'{{"text": "{number(STORY, 82)}"}}\n'.encode()
            + f'{{"text": "{number(WINTER, 83)}"}}\n'.encode("gb18030")
            + b'{"text": "a NUL \0 in a row"}\n'
            + f'{{"text": "{number(STORY, 84)}"}}\n'.encode(),
            {"#1": "", "#2": "", "#3": "malformed", "#4": ""},
        ),
        "13-utf16.txt": (number(STORY, 13).encode("utf-16"), {"": ""}),
        "14-utf16-bare.txt": (number(STORY, 14).encode("utf-16-le"), {"": ""}),
        "15-wrong-column.csv": (f"id,words\n1,{STORY}\n".encode(), {"": "no_column"}),
        "16-wrong-column.parquet": (sink.getvalue(), {"": "no_column"}),
        "17-unclosed.csv": (f'text\n{number(STORY, 17)}\n"never closed\n'.encode(), {"#1": "", "#2": "malformed"}),
        "18-picture.txt": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), {"": "binary"}),
        "19-random.md": (bytes(range(256)) * 8, {"": "binary"}),
        "20-evil.tar.gz": (
            tarred({"../../up.txt": STORY.encode(), "/etc/abs.txt": STORY.encode(), "ok.txt": number(STORY, 20).encode()}),
            {"/../../up.txt": "unsafe_name", "//etc/abs.txt": "unsafe_name", "/ok.txt": ""},
        ),
        "21-page.pdf": (b"<html><body>no pdf</body></html>", {"": "wrong_format"}),
        "22-scan.html": (b"%PDF-1.4 cut off", {"": "unreadable"}),
        "23-rows.json": (f"[{rows}, {{broken}}, 5]".encode(), {"#1": "", "#2": "malformed", "#3": "malformed"}),
        "25-returns.csv": (f"id,text\r1,{number(STORY, 25)}\r2,{number(STORY, 26)}\r".encode(), {"#1": "", "#2": ""}),
        "26-odd-values.parquet": (odd_values(), {"#1": "", "#2": "undecodable", "#3": ""}),
        "27-quote.csv": (
            f'id,text\n1,"{number(STORY, 29)}\n2,{number(STORY, 30)}\n3,{number(STORY, 31)}\n'.encode(),
            {"#1": "malformed", "#2": "", "#3": ""},
        ),
        "28-excel.csv": (f"sep=;\n id ; text \n1;{number(STORY, 32)}\nid;text\n".encode(), {"#1": "", "#2": "malformed"}),
        "29-tabs.tsv": (f'id\ttext\n1\t"{number(STORY, 33)}\n2\t{number(STORY, 39)}\n'.encode(), {"#1": "", "#2": ""}),
        "36-chat.jsonl": (
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in conversations()).encode(),
            {"#1": "", "#2": "", "#3": "", "#4": "not_text"},
        ),
        "24-office.docx": (zipped({"[Content_Types].xml": b"<x/>"}), {"": "unsupported"}),
        **documents(),
        **disguised(),
        **pages_and_marks(),
    }


def pdf(pages: list[list[str]], missing: int = -1) -> bytes:
    """A PDF of lines in Helvetica; the page `missing` is named and not there."""
    kids = " ".join(f"{4 + 2 * place} 0 R" for place in range(len(pages)))
    objects = ["<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>"]
    objects.append("<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>")
    for place, rows in enumerate(pages):
        drawn = "".join(f"BT /F1 10 Tf {x} {700 - 12 * y} Td ({row}) Tj ET\n" for y, line in enumerate(rows) for x, row in cells(line))
        page = f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>/Contents {5 + 2 * place} 0 R>>"
        objects += ["null" if place == missing else page, f"<</Length {len(drawn)}>>stream\n{drawn}\nendstream"]
    out, places = "%PDF-1.7\n", []
    for count, content in enumerate(objects, 1):
        places.append(len(out))
        out += f"{count} 0 obj{content}endobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer<</Size {len(objects) + 1}/Root 1 0 R>>"
    return f"{out}{head}\nstartxref\n{len(out)}\n%%EOF".encode()


def cells(line: str) -> list[tuple[int, str]]:
    """Columns of a line, parted by a bar, and where they begin."""
    return [(40 + 240 * place, cell) for place, cell in enumerate(line.split("|"))]


def pages_and_marks() -> dict[str, tuple[bytes, dict[str, str]]]:
    """PDFs with cut words, a page that is not there and columns; ruby, radicals and byte order marks."""
    cut = [
        "The fishermen of the lower town are inter-",
        "national: they came from well-known har-",
        "bours, and they sell what they have caught.",
    ]
    left = [
        "The ferry runs from the western bank to the",
        "castle every hour until the evening comes, and",
        "whoever misses it has to walk to the bridge of",
        "the soldiers, which is a way of half a morning,",
    ]
    right = [
        "or to sleep in one of the inns at the landing,",
        "where the beds are hard and all of the windows",
        "look out on the water. Nobody has ever asked",
        "for a second night in any of these houses.",
    ]
    row = "\ufeff" + json.dumps({"text": number(STORY, 86)}, ensure_ascii=False) + "\n\ufeff"
    ruby = "".join(
        f"<p>列车第{count}次经过<ruby>東<rp>(</rp><rt>とう</rt><rp>)</rp></ruby>京，窗外是一片灯火，乘客们收起报纸准备下车。</p>"
        for count in range(5)
    )
    return {
        "80-cut-words.pdf": (pdf([cut]), {"": ""}),
        "81-missing-page.pdf": (
            pdf([["The first page tells of a town by the river."], [], ["And the last one of the hills behind."]], 1),
            {"": "", "#2": "unreadable"},
        ),
        "82-columns.pdf": (pdf([[f"{one}|{two}" for one, two in zip(left, right, strict=True)]]), {"": ""}),
        "84-ruby.html": (f"<html><body><article>{ruby}</article></body></html>".encode(), {"": ""}),
        "85-radicals.txt": (number(STORY, 85).replace("一", "⼀").replace("人", "⼈").encode(), {"": ""}),
        "86-marks.jsonl": ((row + json.dumps({"text": number(STORY, 87)}, ensure_ascii=False)).encode(), {"#1": "", "#2": ""}),
    }


def documents() -> dict[str, tuple[bytes, dict[str, str]]]:
    """One of each format of documents, sound and broken."""

    def word(number_: int) -> bytes:
        text = f"<w:document xmlns:w='urn:w'><w:p><w:t>{number(STORY, number_)}</w:t></w:p></w:document>"
        return zipped({"[Content_Types].xml": b"<x/>", "word/document.xml": text.encode()})

    listing = b"<package><item id='a' href='a.xhtml' media-type='application/xhtml+xml'/><itemref idref='a'/></package>"
    page = f"<html><body><p>{number(STORY, 42)}</p></body></html>".encode()
    book = {"mimetype": b"application/epub+zip", "META-INF/container.xml": b"<rootfile full-path='a.opf'/>", "a.opf": listing}
    cells = [{"cell_type": "markdown", "source": number(STORY, 45)}, {"cell_type": "code", "source": 5}]
    cue = "1\n00:00:01,000 --> 00:00:02,000\n{}\n"
    script = "[Script Info]\n[Events]\nDialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{}\nDialogue: cut\n"
    return {
        "40-letter.docx": (word(40), {"": ""}),
        "41-cut.docx": (word(41)[:-60], {"": "unreadable"}),
        "42-book.epub": (zipped({**book, "a.xhtml": page}), {"": ""}),
        "43-no-chapter.epub": (zipped(book), {"": "no_text", "/a.xhtml": "unreadable"}),
        "44-bomb.docx": (zipped({"word/document.xml": b"<p>" + b" " * 2**25}), {"": "bomb"}),
        "45-notebook.ipynb": (json.dumps({"cells": cells, "nbformat": 4}).encode(), {"#prose": "", "#2": "malformed"}),
        "46-cut.ipynb": (b'{"cells": [{"cell_type": "code"', {"": "malformed"}),
        "47-film.srt": (cue.format(number(STORY, 47)).encode("gb18030"), {"": ""}),
        "48-silent.srt": (cue.format("<i></i>").encode(), {"": "no_text"}),
        "49-film.vtt": (("WEBVTT\n\n" + cue.format(number(STORY, 49)).replace(",", ".")).encode(), {"": ""}),
        "50-film.ass": (script.format(number(STORY, 50)).encode("utf-16"), {"": ""}),
        "51-sheet.xlsx": (zipped({"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"}), {"": "unsupported"}),
        "52-old.arc": (arc(number(STORY, 52), brotli=False), {"#2": ""}),
        "53-packed.arc": (arc(RIVER, brotli=True), {"#2": ""}),
        "54-cut.arc": (arc(STORY, brotli=True)[:-30], {"#2": "unreadable"}),
    }


def arc(text: str, brotli: bool) -> bytes:
    """An archive of the web in the format before WARC, whose page may be packed."""
    body = page(text, "utf-8").encode()
    head = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n" + (b"Content-Encoding: br\r\n" if brotli else b"") + b"\r\n"
    body = head + (pa.Codec("brotli").compress(body, asbytes=True) if brotli else body)
    about = b"1 0 archive\nURL IP-address Archive-date Content-type Archive-length\n"
    out = b"filedesc://a.arc 0.0.0.0 20260101000000 text/plain %d\n%s\n" % (len(about), about)
    return out + b"http://example.org/ 127.0.0.1 20260101000000 text/html %d\n%s\n" % (len(body), body)


def disguised() -> dict[str, tuple[bytes, dict[str, str]]]:
    """What the first bytes tell and the name does not, read or refused by its name."""

    def row(number_: int, text: str = STORY) -> bytes:
        return json.dumps({"text": number(text, number_)}, ensure_ascii=False).encode()

    mail = f"Message-ID: <1@example.org>\nFrom: a\nTo: b\nSubject: c\n\n{STORY}\n".encode()
    return {
        "60-part-00000": (row(60) + b"\n{broken\n", {"#1": "", "#2": "malformed"}),
        "61-rows.txt": (row(61) + b"\n", {"#1": ""}),
        "62-rows.jsonl.1": (row(62) + b"\n", {"#1": ""}),
        "63-long.json": (b'{"text": "' + b"x" * 100_000 + b'", "cut\n' + row(63) + b"\n", {"#1": "malformed", "#2": ""}),
        "64-page.php": (page(WINTER, "utf-8").encode(), {"": ""}),
        "65-index.html?id=3": (page(HARBOUR, "utf-8").encode(), {"": ""}),
        "66-letter.rtf": (b"{\\rtf1\\ansi words}", {"": "unsupported"}),
        "67-letter.doc": (b"{\\rtf1\\ansi words}", {"": "unsupported"}),
        "68-mail.eml": (mail, {"": "unsupported"}),
        "69-mails": (b"From a@example.org Mon Jan  5 10:00:00 2026\n" + mail, {"": "unsupported"}),
        "70-feed.xml": (f"<?xml version='1.0'?><feed><title>{STORY}</title></feed>".encode(), {"": "unsupported"}),
    }


def conversations() -> list[dict[str, object]]:
    """The forms that data for chat comes in, and a list that holds no turns."""
    return [
        {"id": "c-1", "conversations": [{"from": "human", "value": number(STORY, 36)}, {"from": "gpt", "value": ENGLISH}]},
        {"messages": [{"role": "user", "content": number(STORY, 37)}, {"role": "assistant", "content": STORY}]},
        {"instruction": "Write a line about the market.", "input": "", "output": ENGLISH.replace("market", "harbour") * 2},
        {"id": "c-4", "conversations": [1, 2]},
    ]


def odd_values() -> bytes:
    """A Parquet file with a string that is not UTF-8, times in nanoseconds and maps with a key twice."""
    words = [number(STORY, 27).encode(), b"\xff\xfe\xfa", number(STORY, 28).encode()]
    columns = {
        "text": pa.array(words, pa.binary()).view(pa.string()),
        "when": pa.array([1001] * 3, pa.timestamp("ns", "Mars/Phobos")),
        "map": pa.array([[("k", "1"), ("k", "2")]] * 3, pa.map_(pa.string(), pa.string())),
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def make_folder(folder: Path) -> dict[str, str]:
    """The odd folder; gives what each receipt should say, the rule or nothing for kept."""
    folder.mkdir()
    wanted: dict[str, str] = {}
    for name, (content, rules) in files().items():
        (folder / name).write_bytes(content)
        wanted |= {f"{name}{below}": rule for below, rule in rules.items()}
    (folder / "30-loop").mkdir()
    (folder / "30-loop" / "again").symlink_to(folder / "30-loop")
    (folder / "31-gone.txt").symlink_to(folder / "nowhere.txt")
    (folder / "32-self.txt").symlink_to("32-self.txt")
    os.mkfifo(folder / "33-pipe.txt")
    (folder / ".hidden").write_text("x")
    long_line = folder / "34-long-line.jsonl"
    with long_line.open("wb") as stream:
        for _ in range(50):
            stream.write(b"x" * 1_000_000)
        stream.write(b"\n" + json.dumps({"text": number(STORY, 34)}).encode() + b"\n")
    (folder / os.fsdecode(b"35-\xe9t\xe9.txt")).write_text(number(STORY, 35), "utf-8")
    return wanted | {
        "30-loop/again": "link_loop",
        "31-gone.txt": "broken_link",
        "32-self.txt": "broken_link",
        "33-pipe.txt": "special_file",
        ".hidden": "hidden",
        "34-long-line.jsonl#1": "max_bytes",
        "34-long-line.jsonl#2": "",
        "35-\\xe9t\\xe9.txt": "",
    }


def page(paragraph: str, charset: str) -> str:
    body = "".join(f"<p>{number(paragraph, count)}</p>" for count in range(1, 5))
    menu = "<nav><a href='/'>首页</a><a href='/about'>关于</a></nav>"
    return (
        f"<!DOCTYPE html><html><head><meta charset='{charset}'><title>t</title></head><body>{menu}<article>{body}</article></body></html>"
    )


def article(paragraph: str) -> str:
    return "\n".join(number(paragraph, count) for count in range(1, 5))
