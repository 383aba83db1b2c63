"""Other tools' words for off leave nothing behind; everything else stays as it is."""

import math

import pytest

from hanmo.generate.settings import plain_settings


@pytest.mark.parametrize(
    "values", [{"temperature": math.nan}, {"top_k": "many"}, {"top_p": -0.5}, {"eos_token_id": [1, 2]}, {"top_k": True}]
)
def test_what_means_neither_stays_to_be_refused_where_it_is_read(values: dict[str, object]) -> None:
    assert plain_settings(values) == values


def test_a_search_among_one_is_none() -> None:
    assert plain_settings({"penalty_alpha": 0.6, "top_k": 1}) == {"top_k": 1}
    assert plain_settings({"penalty_alpha": 0.6, "top_k": 4}) == {"penalty_alpha": 0.6, "top_k": 4}


def test_greedy_wins_over_a_wish_to_sample() -> None:
    assert plain_settings({"do_sample": True, "temperature": 0, "top_p": 0}) == {"do_sample": False}
    assert plain_settings({"do_sample": True, "temperature": 0.7}) == {"do_sample": True, "temperature": 0.7}
