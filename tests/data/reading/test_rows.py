import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.reading.contents import ReadConfig
from hanmo.data.reading.inputs import InputFile, Refused, Text, Unit
from hanmo.data.reading.read import content_of, format_of, read_unit
from hanmo.data.reading.rows import peeked_columns
from hanmo.data.reading.streams import BLOCK_BYTES

ENGLISH = "An old man lived beside the river."


def read(path: Path, content: bytes | str, **settings) -> list[Text | Refused]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    file, config = InputFile(path=path, label=path.name), ReadConfig(**settings)
    return list(read_unit(Unit(file=file, format=format_of(file, config)), config))


def shown(entries: list[Text | Refused]) -> list[tuple[str, str]]:
    return [(entry.source, entry.text if isinstance(entry, Text) else f"!{entry.rule}") for entry in entries]


WORDS = st.text(st.sampled_from('ab"\\{}[],: 中文\n'), max_size=6)
VALUES = WORDS | st.lists(WORDS, max_size=2) | st.dictionaries(WORDS, WORDS | st.lists(st.none() | WORDS, max_size=2), max_size=2)


@settings(deadline=None)
@given(st.lists(st.tuples(WORDS, VALUES), min_size=1, max_size=4), st.sampled_from([None, 1]), st.booleans())
def test_the_elements_of_an_array_are_those_that_json_reads(
    tmp_path_factory: pytest.TempPathFactory, rows: list, indent: int | None, ascii_only: bool
) -> None:
    content = json.dumps([{"more": more, "text": text} for text, more in rows], indent=indent, ensure_ascii=ascii_only)
    entries = read(tmp_path_factory.mktemp("j") / "a.json", content)
    assert shown(entries) == [(f"a.json#{number}", text) for number, (text, _) in enumerate(rows, 1)]


LONG = "雨" * 40_000 + "x"


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.txt", "part-00000"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\n\n", "\r"])
def test_rows_longer_than_the_look_are_rows_all_the_same(tmp_path: Path, name: str, encoding: str, ends: str) -> None:
    rows = [json.dumps({"text": f"{number}{LONG}"}, ensure_ascii=False) for number in range(3)]
    entries = read(tmp_path / name, ends.join(rows).encode(encoding))
    assert [entry.text[0] for entry in entries if isinstance(entry, Text)] == ["0", "1", "2"]


def test_a_broken_or_endless_first_row_of_a_json_file_costs_itself(tmp_path: Path) -> None:
    row = json.dumps({"text": LONG}, ensure_ascii=False)
    broken = read(tmp_path / "a.json", f"{row[:-1]}\n{row}\n")
    assert [(entry.source, isinstance(entry, Text)) for entry in broken] == [("a.json#1", False), ("a.json#2", True)]
    assert [entry.source for entry in read(tmp_path / "a.json", f"{row}\n{row[:-1]}\n") if isinstance(entry, Text)] == ["a.json#1"]
    endless = '{"text": "' + "x" * 300_000 + '"}\n{"text": "short"}\n'
    assert shown(read(tmp_path / "a.json", endless, max_bytes=200_000)) == [("a.json#1", "!max_bytes"), ("a.json#2", "short")]


def test_one_object_in_a_json_file_is_the_file_on_one_line_or_many(tmp_path: Path) -> None:
    value = {"text": LONG, "more": {"a": [{}]}}
    for indent in (None, 1):
        (entry,) = read(tmp_path / "a.json", json.dumps(value, indent=indent) + "\n\n")
        assert isinstance(entry, Text) and (entry.source, entry.text) == ("a.json", LONG)


def test_a_json_file_is_read_across_blocks_and_a_bad_element_costs_no_other(tmp_path: Path) -> None:
    good = [{"text": f'{number} "quoted" \\ {{[,]}} ' + "x" * 5000} for number in range(BLOCK_BYTES // 2000)]
    parts = [json.dumps(row) for row in good]
    parts[3], parts[5] = '{"text": broken}', json.dumps({"text": "y" * 3 * BLOCK_BYTES})
    entries = read(tmp_path / "a.json", "[" + ",\n".join(parts) + "]", max_bytes=BLOCK_BYTES)
    wanted = [f"a.json#{number + 1}" for number in range(len(good))]
    assert [source for source, _ in shown(entries)] == wanted
    assert [(source, text) for source, text in shown(entries) if text.startswith("!")] == [
        ("a.json#4", "!malformed"),
        ("a.json#6", "!max_bytes"),
    ]
    assert isinstance(entries[-1], Text) and entries[-1].text == good[-1]["text"]


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("[]", [("a.json", "!empty")]),
        ("[\n]\n", [("a.json", "!empty")]),
        ('{"text": "alone"}', [("a.json", "alone")]),
        ('\ufeff{\n"text": "alone"\n}\n', [("a.json", "alone")]),
        ('[{"text": "one"}, {"content": "x"}, 5, "words"]', ["one", "!no_column", "!malformed", "!malformed"]),
        ('[{"text": "one"}, {"text": "cut off', ["one", "!malformed"]),
        ('[{"text": "one"}] and words', ["one"]),
        ('{"text": "one"', [("a.json", "!malformed")]),
        ('{"data": []}', [("a.json", "!no_column")]),
    ],
)
def test_one_object_an_empty_array_and_what_is_cut_off(tmp_path: Path, content: str, wanted: list) -> None:
    found = shown(read(tmp_path / "a.json", content))
    assert found == [item if isinstance(item, tuple) else (f"a.json#{number}", item) for number, item in enumerate(wanted, 1)]


def test_an_object_too_long_is_not_held(tmp_path: Path) -> None:
    entries = read(tmp_path / "a.json", '{"text":\n"' + "x" * 5_000_000 + '"}', max_bytes=1000)
    assert shown(entries) == [("a.json", "!max_bytes")]
    assert isinstance(entries[0], Refused) and entries[0].value == 5_000_012


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_records_are_cut_at_the_delimiter_of_the_first_one(tmp_path: Path, delimiter: str) -> None:
    rows = [["id", "text", "note"], ["1", ENGLISH, "a"], ["2", "第一行\n第二行", "b"], ["3", 'he said "no"', ""]]
    content = "\r\n".join(delimiter.join('"' + field.replace('"', '""') + '"' for field in row) for row in rows)
    entries = read(tmp_path / ("a.tsv" if delimiter == "\t" else "a.csv"), "\ufeff" + content, keep_columns=("note",))
    assert [entry.text for entry in entries if isinstance(entry, Text)] == [row[1] for row in rows[1:]]
    assert [dict(entry.metadata) for entry in entries if isinstance(entry, Text)] == [
        {"note": note, "id": number} for number, note in (("1", "a"), ("2", "b"), ("3", ""))
    ]
    assert [entry.source.split("#")[1] for entry in entries] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("text,n\none,1\ntwo\nthree,3,4\n\nfour,4\n", ["one", "!malformed", "!malformed", "four"]),
        (b"text,n\none,1\ntw\xff,2\nthree,3\n", ["one", "!undecodable", "three"]),
        ("content,n\none,1\n", ["!no_column"]),
        ("text\n", ["!empty"]),
        ("\n", ["!empty"]),
        ('text,n\none,1\n"never closed,2\n' + "word,3\n" * 300 + "last,4\n", ["one", "!malformed", *["word"] * 300, "last"]),
        ("text,n\n" + "x" * 1500 + ",1\nlast,2\n", ["!max_bytes", "last"]),
        ("text\n" + '"' + "many words " * 90 + '"\n', ["many words " * 90]),
    ],
)
def test_a_record_that_is_none_costs_no_other(tmp_path: Path, content: bytes | str, wanted: list[str]) -> None:
    found = shown(read(tmp_path / "a.csv", content, max_bytes=1000))
    assert [text for _, text in found][: len(wanted)] == wanted
    assert len(found) == len(wanted) or found[-1][1] in ("word", "last")
    assert len({source for source, _ in found}) == len(found)


def test_a_field_longer_than_the_csv_module_likes_is_read(tmp_path: Path) -> None:
    assert shown(read(tmp_path / "a.csv", "text\n" + "y" * 200_000 + "\n")) == [("a.csv#1", "y" * 200_000)]


def test_packed_parquet_is_read_from_memory(tmp_path: Path) -> None:
    import gzip

    pq.write_table(pa.table({"text": [ENGLISH]}), tmp_path / "t")
    assert shown(read(tmp_path / "a.parquet.gz", gzip.compress((tmp_path / "t").read_bytes()))) == [("a.parquet.gz#1", ENGLISH)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"title": "x", "content": "y"}\n{"more": 1}\n'),
        ("a.json", '[{"title": "x", "content": "y"}, {"more": 1}, broken]'),
        ("a.csv", "title;content;more\n1;2;3\n"),
    ],
)
def test_columns_are_known_before_anything_is_read(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    file, config = InputFile(path=path, label=name), ReadConfig()
    assert peeked_columns(content_of(Unit(file=file, format=format_of(file, config)), config), config) == ["title", "content", "more"]


SHAREGPT = {"conversations": [{"from": "human", "value": "Where is the bridge?"}, {"from": "gpt", "value": "Behind the mill."}]}
OPENAI = {
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Where is"}, {"type": "image_url"}, {"type": "text", "text": "the bridge?"}]},
        {"role": "assistant", "content": "Behind the mill."},
    ],
    "system": "You know the village.",
}
ALPACA = {"instruction": "Where is the bridge?", "input": "", "output": "Behind the mill."}


@pytest.mark.parametrize(
    ("row", "settings", "text"),
    [
        (SHAREGPT, {}, "User: Where is the bridge?\n\nAssistant: Behind the mill."),
        (SHAREGPT, {"conversation": "turns"}, "Where is the bridge?\n\nBehind the mill."),
        (SHAREGPT, {"text_column": "conversations"}, "User: Where is the bridge?\n\nAssistant: Behind the mill."),
        (OPENAI, {}, "System: You know the village.\n\nUser: Where is\nthe bridge?\n\nAssistant: Behind the mill."),
        (ALPACA, {}, "User: Where is the bridge?\n\nAssistant: Behind the mill."),
        (ALPACA | {"input": "The village."}, {"conversation": "turns"}, "Where is the bridge?\n\nThe village.\n\nBehind the mill."),
        ({"text": "words", **ALPACA}, {}, "words"),
    ],
)
@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet"])
def test_a_row_of_turns_is_written_as_text(tmp_path: Path, row: dict, settings: dict, text: str, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    if ending == "parquet":
        flat = {name: value if isinstance(value, str) else json.dumps(value) for name, value in row.items()}
        pq.write_table(pa.Table.from_pylist([flat if row is OPENAI else row]), path)
        content = path.read_bytes()
    else:
        content = json.dumps([row] if ending == "json" else row)
    (entry,) = read(path, content, **settings)
    assert isinstance(entry, Text) and entry.text == text
    assert ("conversation" in entry.note) == (text != "words")


@pytest.mark.parametrize("rows", [[SHAREGPT], [ALPACA], [OPENAI]])
def test_conversations_are_refused_where_nobody_wants_them(tmp_path: Path, rows: list) -> None:
    for chosen in ({"conversation": "none"}, {"text_column": "body"}):
        assert shown(read(tmp_path / "a.json", json.dumps(rows), **chosen)) == [("a.json#1", "!no_column")]


@pytest.mark.parametrize("turns", [[], [{"from": "human"}], ["words"], [{"value": "no speaker"}], 5, [{"from": "gpt", "value": ""}]])
def test_a_list_that_holds_no_turns_has_its_receipt(tmp_path: Path, turns: object) -> None:
    (entry,) = read(tmp_path / "a.jsonl", json.dumps({"conversations": turns, "id": 7}))
    assert isinstance(entry, Refused) and (entry.rule, entry.own_id) == ("not_text", "7")


def test_a_row_keeps_its_own_id(tmp_path: Path) -> None:
    rows = (
        '{"id": "a-1", "text": "one"}\n{"id": 2, "text": "two"}\n{"text": "three"}\n{"id": [1], "text": "four"}\n{"id": "b", "text": 5}\n'
    )
    entries = read(tmp_path / "a.jsonl", rows)
    assert [entry.own_id for entry in entries] == ["a-1", "2", "", "", "b"]
    assert [dict(entry.metadata) for entry in entries if isinstance(entry, Text)] == [{"id": "a-1"}, {"id": "2"}, {}, {}]
    (named,) = read(tmp_path / "b.csv", "key,text\nk-1,words\n", id_column="key")
    assert isinstance(named, Text) and named.own_id == "k-1" and named.metadata == {"key": "k-1"}
    pq.write_table(pa.table({"id": [12], "text": ["words"]}), tmp_path / "c.parquet")
    (stored,) = read(tmp_path / "c.parquet", (tmp_path / "c.parquet").read_bytes())
    assert isinstance(stored, Text) and stored.own_id == "12"
    (without,) = read(tmp_path / "a.jsonl", '{"id": 1, "text": "one"}', id_column="")
    assert isinstance(without, Text) and not without.own_id and without.metadata == {}


def test_entities_become_characters_only_when_asked(tmp_path: Path) -> None:
    row = json.dumps({"text": "Fish &amp; chips &#8217; &lt;b&gt; &notit &nosuch; AT&T"})
    for asked, text in ((False, json.loads(row)["text"]), (True, "Fish & chips \u2019 <b> &notit &nosuch; AT&T")):
        (entry,) = read(tmp_path / "a.jsonl", row, entities=asked)
        assert isinstance(entry, Text) and entry.text == text


def test_rows_without_names_are_named_by_a_setting(tmp_path: Path) -> None:
    settings = {"columns": ("id", "text")}
    assert shown(read(tmp_path / "a.csv", "1;one\n2;two\n", **settings)) == [("a.csv#1", "one"), ("a.csv#2", "two")]
    assert shown(read(tmp_path / "a.csv", "id,text\n1,one\n", **settings)) == [("a.csv#1", "one")]
    assert shown(read(tmp_path / "a.tsv", "1\tone\n2\n", **settings)) == [("a.tsv#1", "one"), ("a.tsv#2", "!malformed")]
    assert shown(read(tmp_path / "a.jsonl", '[1, "one"]\n["two"]\n', **settings)) == [("a.jsonl#1", "one"), ("a.jsonl#2", "!malformed")]


def test_a_header_that_comes_again_is_no_document(tmp_path: Path) -> None:
    assert shown(read(tmp_path / "a.csv", "id,text\n1,one\nid,text\n2,two\n")) == [
        ("a.csv#1", "one"),
        ("a.csv#2", "!malformed"),
        ("a.csv#3", "two"),
    ]


def test_a_column_that_stands_twice_is_told_with_the_text(tmp_path: Path) -> None:
    (entry,) = read(tmp_path / "a.csv", "text,id,text\none,1,two\n", keep_columns=("text (2)",))
    assert isinstance(entry, Text) and entry.text == "one" and entry.metadata == {"text (2)": "two", "id": "1"}
    assert entry.note == "column 'text' stands twice: the first is read"


def test_a_record_is_decoded_by_the_evidence_of_all_its_fields(tmp_path: Path) -> None:
    chinese = "山下有一条小河，河边住着一位老人，每天清晨都到河边打水。"
    rows = b"id,text\n" + b"1,words in ascii alone\n" * 4000 + f"山,{chinese}\n".encode("gbk") + b"3,last\n"
    entries = read(tmp_path / "a.csv", rows)
    assert isinstance(entries[4000], Text) and (entries[4000].text, entries[4000].encoding) == (chinese, "gb18030")
    assert entries[4000].own_id == "山" and isinstance(entries[4001], Text)
