import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.reading.delimited import MOST_REREAD, Records

ROWS = "".join(f"{number},word {number}\n" for number in range(3, 40))


def records(content: str | bytes, limit: int = 1000, **more) -> Records:
    data = content if isinstance(content, bytes) else content.encode()
    return Records(io.BytesIO(data), limit, "text", **more)


def shown(content: str, **more) -> list:
    return ["!" if isinstance(record, str) else record for record in records(content, **more)]


def test_a_quotation_mark_never_closed_costs_its_own_line_and_tells_what_it_would_take() -> None:
    found = list(records('id,text\n1,one\n2,"never closed\n' + ROWS, limit=10_000))
    assert found[0] == ["1", "one"] and found[2:] == [[str(number), f"word {number}"] for number in range(3, 40)]
    assert found[1] == "a quotation mark is never closed; it would take the 37 lines behind it, read on their own"


def test_a_quotation_mark_closed_by_one_that_opens_another_field_costs_its_own_line() -> None:
    found = list(records('id,text\n1,one\n2,"never closed\n' + ROWS + '40,say "good" \n41,last\n', limit=10_000))
    assert len(found) == 41 and found[-1] == ["41", "last"]
    assert str(found[1]).startswith("a quotation mark is closed 38 lines later, inside a field")
    alone = list(records('text\none\n"never closed\nthree\nand "four" too\n'))
    assert [record for record in alone if isinstance(record, list)] == [["one"], ["three"], ['and "four" too']]


def test_a_record_that_is_cut_off_takes_its_lines_along_where_they_are_no_rows() -> None:
    cut = 'id,text\n1,"a letter,\n\nof many lines,\n with commas, and, more\nwithout an end'
    assert list(records(cut)) == ["a quotation mark is never closed; it takes the 4 lines behind it"]
    assert list(records('id,text\n1,"alone')) == ["a quotation mark is never closed; it takes the 0 lines behind it"]


def test_a_mark_that_is_not_closed_within_the_limit_gives_the_rows_back() -> None:
    found = list(records('id,text\n1,"open\n' + ROWS * 3, limit=200))
    assert "not closed in the next" in str(found[0]) and found[1:] == [line.split(",") for line in (ROWS * 3).splitlines()]


def test_reading_again_has_an_end() -> None:
    found = list(records("text\n" + 'x\n"a ""\n' * 500, limit=10_000))
    assert len(found) <= 1001 and sum(isinstance(record, str) for record in found) <= MOST_REREAD + 501


@pytest.mark.parametrize("quoted", ['"a ""word"" in it"', '"two\nlines, and a comma"', 'a "word" bare', '"a" trailing'])
def test_what_the_csv_module_reads_is_read_as_it_reads_it(quoted: str) -> None:
    import csv

    content = f"id,text\n1,{quoted}\n2,last\n"
    assert list(records(content)) == list(csv.reader(io.StringIO(content, newline="")))[1:]


FIELDS = st.text(st.sampled_from('ab"\n,;\t 字'), max_size=5)


@settings(deadline=None)
@given(st.lists(st.tuples(FIELDS, FIELDS), max_size=5))
def test_what_the_csv_module_writes_is_read_back(rows: list[tuple[str, str]]) -> None:
    import csv

    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("id", "text"), *rows])
    assert list(records(out.getvalue())) == [list(row) for row in rows]


@pytest.mark.parametrize(
    ("content", "names", "rows"),
    [
        ("sep=;\nid;text\n1;one, two\n", ["id", "text"], [["1", "one, two"]]),
        ('"sep=|"\r\nid|text\r\n1|one\r\n', ["id", "text"], [["1", "one"]]),
        (" id , text \n1,one\n", ["id", "text"], [["1", "one"]]),
        ('id, "text"\n1, "one, two"\n', ["id", "text"], [["1", "one, two"]]),
        ("\n\nid,text\n1,one\n", ["id", "text"], [["1", "one"]]),
        ("text,id,text\none,1,two\n", ["text", "id", "text (2)"], [["one", "1", "two"]]),
        ("\ufeffid,text\n1,one\n", ["id", "text"], [["1", "one"]]),
        ("", [], []),
    ],
)
def test_the_habits_of_headers_are_known(content: str, names: list[str], rows: list[list[str]]) -> None:
    found = records(content)
    assert found.names == names and list(found) == rows


def test_tabs_have_no_quotes_unless_every_name_has() -> None:
    assert shown('id\ttext\n1\t"Hello," she said\n2\t"\n3\tlast\n', tabs=True) == [["1", '"Hello," she said'], ["2", '"'], ["3", "last"]]
    assert shown('"id"\t"text"\n"1"\t"a ""word"""\n', tabs=True) == [["1", 'a "word"']]
    assert shown("text\none, two\n", tabs=True) == [["one, two"]]
    assert shown("id,text\n1,one\n", tabs=True) == [["1", "one"]]


def test_names_can_be_given_where_the_table_has_none() -> None:
    found = records("1,one\n2,two\n", columns=("id", "text"))
    assert (found.names, found.header, list(found)) == (["id", "text"], [], [["1", "one"], ["2", "two"]])
    assert list(records("text,id\n1,one\n", columns=("text", "id"))) == [["1", "one"]]


def test_a_first_line_beyond_the_limit_is_told() -> None:
    found = records("x" * 50 + "\nid,text\n", limit=20)
    assert found.begins_too_long and found.length == 51


def test_a_byte_order_mark_before_a_quoted_field_is_no_part_of_it() -> None:
    table = '\ufefftext,id\n\ufeff"one, two",1\n\ufeffthree,2\n'
    assert list(Records(io.BytesIO(table.encode()), 1000, "text")) == [["one, two", "1"], ["three", "2"]]
