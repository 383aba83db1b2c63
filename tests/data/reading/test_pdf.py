import gzip
import zlib
from pathlib import Path

import matplotlib
import pypdfium2
import pytest

from hanmo.data.reading.contents import ReadConfig
from hanmo.data.reading.inputs import InputFile, Refused, Text, Unit
from hanmo.data.reading.pdf import PlacedText, read_along
from hanmo.data.reading.read import format_of, read_unit

SONG = "<</Type/Font/Subtype/Type0/BaseFont/STSong-Light/Encoding/UniGB-UTF16-H/DescendantFonts[4 0 R]>>"
SONG_GLYPHS = "<</Type/Font/Subtype/CIDFontType0/BaseFont/STSong-Light/CIDSystemInfo<</Registry(Adobe)/Ordering(GB1)/Supplement 5>>>>"
HELVETICA = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
LOCK = "/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<" + "00" * 32 + ">/U<" + "11" * 32 + ">>>"
DEJAVU = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def written(objects: list[str | bytes], more: str = "") -> bytes:
    """A PDF of numbered objects, the first of them the catalogue; `more` goes into the trailer."""
    out, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj" % number + (content if isinstance(content, bytes) else content.encode()) + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = f"trailer<</Size {len(objects) + 1}/Root 1 0 R{more}>>\nstartxref\n{len(out)}\n%%EOF".encode()
    return out + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + trailer


def stream(content: bytes | str, filtered: str = "") -> bytes:
    data = content.encode() if isinstance(content, str) else content
    return f"<</Length {len(data)}{filtered}>>stream\n".encode() + data + b"\nendstream"


def pdf(contents: list[str], font: str = HELVETICA, rotate: int = 0, more: str = "", missing: tuple[int, ...] = ()) -> bytes:
    """Pages of drawing commands; those in `missing`, from 1, are named and not there."""
    kids = " ".join(f"{5 + 2 * place} 0 R" for place in range(len(contents)))
    objects = ["<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Count {len(contents)}/Kids[{kids}]>>", font, SONG_GLYPHS]
    for place, text in enumerate(contents):
        page = f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Rotate {rotate}/Resources<</Font<</F1 3 0 R>>>>"
        objects += ["null" if place + 1 in missing else f"{page}/Contents {6 + 2 * place} 0 R>>", stream(text).decode()]
    return written(list(objects), more)


def at(x: float, y: float, text: str, matrix: str = "") -> str:
    """One line of Helvetica in 10 points, at a place, or under a matrix."""
    return f"BT /F1 10 Tf {matrix or f'1 0 0 1 {x} {y}'} Tm ({text}) Tj ET\n"


def lines(rows: list[str], x: float = 40, top: float = 780) -> str:
    return "".join(at(x, top - 12 * place, row) for place, row in enumerate(rows))


def song(rows: list[str]) -> str:
    """Lines of Chinese in 12 points; the font is not embedded, as in many Chinese PDFs."""
    return "".join(f"BT /F1 12 Tf 40 {780 - 16 * place} Td <{row.encode('utf-16-be').hex()}> Tj ET\n" for place, row in enumerate(rows))


def vertical(columns: list[str], encoding: str = "Identity-V") -> bytes:
    """A page of vertical Chinese, the first column at the right, with an embedded font, whose pictures are other letters."""
    numbers = {character: 40 + place for place, character in enumerate(sorted(set("".join(columns))))}
    body = ""
    for place, column in enumerate(columns):
        codes = "".join(f"{numbers[character]:04x}" for character in column)
        body += f"BT /F1 12 Tf {500 - 18 * place} 700 Td <{codes}> Tj ET\n"
    rows = "\n".join(f"<{code:04x}> <{character.encode('utf-16-be').hex()}>" for character, code in numbers.items())
    cmap = f"begincmap 1 begincodespacerange <0000> <ffff> endcodespacerange {len(numbers)} beginbfchar {rows} endbfchar endcmap"
    info = "/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/DW 1000/CIDToGIDMap/Identity/FontDescriptor 7 0 R"
    metrics = "/FontBBox[0 -200 1000 900]/ItalicAngle 0/Ascent 880/Descent -120/CapHeight 700/StemV 80"
    return written(
        [
            "<</Type/Catalog/Pages 2 0 R>>",
            "<</Type/Pages/Count 1/Kids[4 0 R]>>",
            f"<</Type/Font/Subtype/Type0/BaseFont/DejaVuSans/Encoding/{encoding}/DescendantFonts[6 0 R]/ToUnicode 9 0 R>>",
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>/Contents 5 0 R>>",
            stream(body),
            f"<</Type/Font/Subtype/CIDFontType2/BaseFont/DejaVuSans{info}>>",
            f"<</Type/FontDescriptor/FontName/DejaVuSans/Flags 4{metrics}/FontFile2 8 0 R>>",
            stream(zlib.compress(DEJAVU.read_bytes()), "/Filter/FlateDecode"),
            stream(cmap),
        ]
    )


def read(path: Path, content: bytes, **settings) -> list[Text | Refused]:
    path.write_bytes(content)
    file, config = InputFile(path=path, label=path.name), ReadConfig(**settings)
    return list(read_unit(Unit(file=file, format=format_of(file, config)), config))


def text_of(path: Path, content: bytes) -> str:
    (entry,) = read(path / "a.pdf", content)
    assert isinstance(entry, Text) and entry.note == ""
    return entry.text


@pytest.mark.parametrize("name", ["a.pdf", "page.html", "a.pdf.gz"])
def test_the_text_of_a_pdf_is_read_page_by_page(tmp_path: Path, name: str) -> None:
    data = pdf([song(["第一页：河水流过村庄。"]), song(["Second page, in English."])], SONG)
    (entry,) = read(tmp_path / name, gzip.compress(data) if name.endswith("gz") else data)
    assert isinstance(entry, Text) and entry.text == "第一页：河水流过村庄。\n\nSecond page, in English."
    assert (entry.format, entry.note) == ("pdf", "named .html, holds pdf" if name == "page.html" else "")


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (pdf([]), "unreadable"),
        (pdf([""]), "no_text"),
        (pdf([lines(["x"])], more=LOCK), "encrypted"),
        (b"%PDF-1.7 broken", "unreadable"),
        (pdf([song(["字字"] * 50)], SONG), "max_bytes"),
        (pdf([lines(["x"])] * 3, missing=(1, 2, 3)), "unreadable"),
    ],
    ids=["no page", "a scan", "a password", "broken", "too long", "no page there"],
)
def test_a_pdf_without_text_has_one_receipt(tmp_path: Path, data: bytes, rule: str) -> None:
    entries = read(tmp_path / "a.pdf", data, max_bytes=200 if rule == "max_bytes" else 10**6)
    assert [entry.rule for entry in entries if isinstance(entry, Refused)] == [rule] and len(entries) == 1


def test_a_page_that_is_not_there_costs_only_itself(tmp_path: Path) -> None:
    found = read(tmp_path / "a.pdf", pdf([lines([f"This is page {number}."]) for number in range(1, 5)], missing=(2, 4)))
    assert isinstance(found[0], Text) and found[0].text == "This is page 1.\n\nThis is page 3."
    assert found[1:] == [Refused(source=f"a.pdf#{number}", rule="unreadable", detail=f"page {number} cannot be read") for number in (2, 4)]


def test_a_file_that_claims_a_million_pages_has_one_receipt_for_those_it_has_not(tmp_path: Path) -> None:
    data = pdf([lines(["The only page."]), ""]).replace(b"/Count 2/", b"/Count 900000/", 1)
    found = read(tmp_path / "a.pdf", data)
    assert isinstance(found[0], Text) and found[0].text == "The only page."
    assert found[1:] == [Refused(source="a.pdf#3", rule="unreadable", detail="pages 3 to 900000 cannot be read")]


def test_words_cut_at_the_end_of_a_line_are_whole_and_compounds_keep_their_hyphen(tmp_path: Path) -> None:
    rows = [
        "The market has become inter-",
        "national, and its well-known lan-",
        "terns are sold by a well-",
        "known family of long-term mer-",
        "chants, as an Anglo-",
        "Saxon visitor of the long-",
        "range trains says.",
    ]
    wanted = "The market has become international, and its well-known lanterns are sold by a well-known family of long-term "
    wanted += "merchants, as an Anglo-Saxon visitor of the long-range trains says."
    assert text_of(tmp_path, pdf([lines(rows)])) == wanted


TURNED = {0: "1 0 0 1 {u} {v}", 90: "0 1 -1 0 {w} {u}", 180: "-1 0 0 -1 {x} {w}", 270: "0 -1 1 0 {v} {x}"}


@pytest.mark.parametrize("turn", TURNED)
@pytest.mark.parametrize("rotate", [0, 90])
def test_turned_pages_keep_their_line_ends(tmp_path: Path, turn: int, rotate: int) -> None:
    rows = ["The old man rises before dawn", "and once more it rains.", "The river is high."]
    body = ""
    for place, row in enumerate(rows):
        step = 14 * place
        body += at(0, 0, row, TURNED[turn].format(u=100, v=400 - step, w=300 + step, x=500))
    assert text_of(tmp_path, pdf([body], rotate=rotate)) == "The old man rises before dawn and once more it rains.\nThe river is high."


@pytest.mark.parametrize("encoding", ["Identity-V", "Identity-H"])
def test_columns_of_vertical_chinese_are_read_from_the_right(tmp_path: Path, encoding: str) -> None:
    """With the horizontal encoding the same columns are lines, from above."""
    columns = ["春天的早上河水流過村", "老人坐在門前看着孩子", "們跑來跑去笑聲很遠。", "　　第二天下雨了，大", "家都回家去。"]
    data = vertical(columns, encoding)
    if encoding == "Identity-H":
        for place in range(5):
            data = data.replace(b"%d 700 Td" % (500 - 18 * place), b"60 %d Td " % (700 - 18 * place))
    assert text_of(tmp_path, data) == "春天的早上河水流過村老人坐在門前看着孩子們跑來跑去笑聲很遠。\n第二天下雨了，大家都回家去。"


def test_a_page_of_hebrew_is_read_from_the_right(tmp_path: Path) -> None:
    rows = ["הנהר זורם לאורך הבתים הישנים של העיר", "ונושא abc עלים אל הים הגדול הכחול שם", "והסירות מחכות לערב."]
    drawn = [row[::-1].replace("cba", "abc") for row in rows]  # as programs draw it, from the left
    widest = max(map(len, rows))
    data = vertical([row.rjust(widest, "\u00a0") for row in drawn], "Identity-H")
    for place in range(3):
        data = data.replace(b"%d 700 Td" % (500 - 18 * place), b"60 %d Td " % (700 - 18 * place))
    assert text_of(tmp_path, data) == " ".join(rows)


def test_lines_of_chinese_meet_without_a_blank(tmp_path: Path) -> None:
    rows = [
        "清晨的集市上已经热闹起来，卖菜的老人把新摘的豆",
        "角摆成一排，用 Python 写的程序算出今天",
        "的收成，孩子们跑来跑去，笑声传得很远，河水慢慢",
        "流过村庄。",
        "　　第二天下雨了。",
    ]
    text = text_of(tmp_path, pdf([song(rows)], SONG))
    assert text.startswith("清晨的集市上已经热闹起来，卖菜的老人把新摘的豆角摆成一排，用 Python 写的程序算出今天")
    assert text.endswith("的收成，孩子们跑来跑去，笑声传得很远，河水慢慢流过村庄。\n第二天下雨了。")


def test_a_character_beyond_the_first_plane_stays_whole(tmp_path: Path) -> None:
    assert text_of(tmp_path, pdf([song(["横𠀀字，𠮷野家。", "又一行。"])], SONG)) == "横𠀀字，𠮷野家。\n又一行。"


LEFT = [
    "The river runs past the old",
    "houses of the lower town and",
    "carries leaves and paper to",
    "the sea, where the boats of",
    "the fishermen wait all day",
]
RIGHT = [
    "for the evening. Nobody has",
    "seen the other bank since a",
    "fog came down in the spring",
    "and stayed, so that the only",
    "sound is that of the bells.",
]
WANTED = " ".join(LEFT + RIGHT)


@pytest.mark.parametrize("stored", ["rows", "columns", "upwards"])
def test_two_columns_are_read_one_after_the_other_however_they_are_stored(tmp_path: Path, stored: str) -> None:
    left = [at(40, 700 - 12 * place, row) for place, row in enumerate(LEFT)]
    right = [at(185, 700 - 12 * place, row) for place, row in enumerate(RIGHT)]
    pieces = {
        "rows": [piece for pair in zip(left, right, strict=True) for piece in pair],
        "columns": left + right,
        "upwards": left[::-1] + right[::-1],
    }[stored]
    title = at(90, 730, "A Report on the River and on its Fog")
    assert text_of(tmp_path, pdf([title + "".join(pieces)])) == "A Report on the River and on its Fog\n" + WANTED


def test_where_columns_could_be_a_table_the_receipt_says_so(tmp_path: Path) -> None:
    rows = [(row[:19].strip() if place else row, other) for place, (row, other) in enumerate(zip(LEFT, RIGHT, strict=True))]
    rows += [("the evening", "of the day"), ("paper boats are sold", "and the boats come home")]
    body = "".join(at(40, 700 - 12 * place, one) + at(185, 700 - 12 * place, two) for place, (one, two) in enumerate(rows))
    found = read(tmp_path / "a.html", pdf([lines(["One page."]), body]))
    assert isinstance(found[0], Text) and found[0].text.split("\n")[2:] == [f"{one} {two}" for one, two in rows]
    assert found[0].note == "named .html, holds pdf; columns or a table, which could not be told: kept row by row on page 2"


def test_a_sentence_goes_on_over_the_end_of_a_page(tmp_path: Path) -> None:
    assert text_of(tmp_path, pdf([lines(["The boats come home in the inter-"]), lines(["national harbour."])])) == (
        "The boats come home in the international harbour."
    )
    assert text_of(tmp_path, pdf([lines(["A heading"]), lines(["The harbour."])])) == "A heading\n\nThe harbour."


def test_a_page_with_too_many_characters_is_kept_as_it_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanmo.data.reading.pdf.MOST_PLACED", 40)
    found = read(tmp_path / "a.pdf", pdf([lines(LEFT), lines(["One line."])]))
    assert isinstance(found[0], Text) and found[0].text == "\n".join(LEFT) + "\n\nOne line." and found[0].note.endswith("on page 1")


def test_a_word_has_the_place_and_the_turn_of_its_letters() -> None:
    document = pypdfium2.PdfDocument(pdf([at(40, 700, "one two") + at(0, 0, "up", "0 1 -1 0 300 400")]))
    page = document[0]
    found = page.get_textpage()
    words = PlacedText(found).words()
    assert [(word.text, word.turn, word.apart) for word in words] == [("one", 0, False), ("two", 0, True), ("up", 270, False)]
    assert (words[0].left, round(words[0].base)) == (40, 700) and words[1].left > words[0].right
    assert (round(words[2].left), round(words[2].base)) == (400, -300)
    for opened in (found, page, document):
        opened.close()


@pytest.mark.parametrize(
    ("turn", "box", "origin", "wanted"),
    [
        (0, (10, 20, 16, 31.7), (10, 23), (10, 16, 23)),
        (90, (10, 20, 21.7, 26), (13, 26), (-26, -20, 13)),
        (180, (10, 20, 16, 31.7), (16, 29), (-16, -10, -29)),
        (270, (10, 20, 21.7, 26), (19, 20), (20, 26, -19)),
    ],
)
def test_every_text_runs_to_the_right_once_it_is_turned(turn: int, box, origin, wanted) -> None:
    left, right, base, size, _ = read_along(turn, box, origin)
    assert (left, right, base) == pytest.approx(wanted) and size == pytest.approx(10)
