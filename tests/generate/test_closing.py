import json

import pytest
import torch

from hanmo.generate.closing import Closers, Strings

TOKENS = [b"", b"a", b'"', b"}", b"]}", b'"}', b'",', b",", b',"', b'":', b" ]"]
CLOSERS = Closers(TOKENS, [0])


def nearest(ids: set[int], in_string: bool = False, size: int = len(TOKENS)) -> set[int]:
    allowed = torch.tensor([id in ids for id in range(size)])
    return set(CLOSERS.nearest(allowed, in_string).nonzero().flatten().tolist())


def test_the_end_comes_before_brackets_before_commas_before_quotes() -> None:
    everything = set(range(len(TOKENS)))
    assert nearest(everything) == {0}
    assert nearest(everything - {0}) == {3, 4}
    assert nearest({1, 2, 7, 8, 9}) == {7, 8}
    assert nearest({1, 2, 5, 9}) == {2, 5}
    assert nearest({1, 9}) == {1, 9}


def test_inside_a_string_a_bracket_is_a_letter_and_the_quote_ends_it() -> None:
    assert nearest({1, 2, 3, 4, 5, 6}, in_string=True) == {2, 5}
    assert nearest({1, 3, 4}, in_string=True) == {1, 3, 4}


def test_rows_without_a_token_are_never_nearest() -> None:
    assert nearest({3, 12}, size=14) == {3}
    assert nearest({0, 1}, size=2) == {0}


@pytest.mark.parametrize("value", ["", "a", 'a"b', "\\", '\\"', "\n", {'k"': ["]", '"']}, [1, "{"]])
def test_a_whole_value_is_outside_and_its_inside_is_known_however_it_is_cut(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False).encode()
    whole, piecewise = Strings(), Strings()
    whole.push(text)
    for place in range(len(text)):
        piecewise.push(text[place : place + 1])
    assert (whole.is_inside, piecewise.is_inside) == (False, False)
    begun = Strings()
    begun.push(b'{"a": "\\"')
    assert begun.is_inside
