from hypothesis import given
from hypothesis import strategies as st

from hanmo.generate.stop import StopFilter


def through(stops: list[str], pieces: list[str]) -> tuple[str, str]:
    passing = StopFilter(stops)
    out = "".join(passing.push(piece) for piece in pieces)
    return out + ("" if passing.found else passing.finish()), passing.found


def test_a_stop_string_across_pieces_is_found_and_left_out() -> None:
    assert through(["\n\nUser:"], ["Good", " day\n", "\nUs", "er: hi"]) == ("Good day", "\n\nUser:")


def test_text_is_held_back_only_while_it_may_be_a_stop_string() -> None:
    passing = StopFilter(["abc"])
    assert [passing.push(each) for each in ["x", "ab", "ab", "x"]] == ["x", "", "ab", "abx"]
    assert passing.finish() == ""
    assert passing.push("ab") == ""
    assert passing.finish() == "ab"


def test_without_stop_strings_text_passes_at_once() -> None:
    assert StopFilter([]).push("abc") == "abc"


def test_after_a_stop_nothing_more_comes_out() -> None:
    passing = StopFilter(["."])
    assert passing.push("one. two") == "one"
    assert passing.push(" three") == ""


def test_the_string_that_is_complete_first_wins_and_the_longest_of_those() -> None:
    assert through(["abcd", "bc"], ["xabcd"]) == ("xa", "bc")
    assert through(["c", "bc"], ["abc"]) == ("a", "bc")


def test_full_width_stop_strings_work() -> None:
    assert through(["。"], ["春眠不觉晓", "。处处"]) == ("春眠不觉晓", "。")


words = st.text(alphabet="ab", max_size=12)


@given(st.lists(st.text(alphabet="ab", min_size=1, max_size=4), min_size=1, max_size=3), st.lists(words, max_size=6))
def test_the_cut_into_pieces_changes_nothing_and_the_text_before_the_stop_is_whole(stops: list[str], pieces: list[str]) -> None:
    text = "".join(pieces)
    out, found = through(stops, pieces)
    assert (out, found) == through(stops, [text])
    ends = [end for end in range(len(text) + 1) if any(text[:end].endswith(stop) for stop in stops)]
    if not ends:
        assert (out, found) == (text, "")
    else:
        assert out + found == text[: ends[0]]
        assert found in stops
