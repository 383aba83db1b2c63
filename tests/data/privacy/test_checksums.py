import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.privacy.checksums import iban_fits, id_card_check, luhn


@pytest.mark.parametrize("number", ["79927398713", "4111111111111111", "378282246310005", "6011000990139424", "30569309025904"])
def test_numbers_that_card_companies_publish_for_tests_fit(number: str) -> None:
    assert luhn(number)


@settings(deadline=None)
@given(st.text("0123456789", min_size=12, max_size=19), st.integers(0, 18), st.integers(1, 9))
def test_luhn_sees_every_single_wrong_digit(number: str, place: int, off: int) -> None:
    fitting = next(number[:-1] + last for last in "0123456789" if luhn(number[:-1] + last))
    place %= len(fitting)
    wrong = str((int(fitting[place]) + off) % 10)
    assert not luhn(fitting[:place] + wrong + fitting[place + 1 :])


def test_the_example_of_the_standard_for_chinese_id_cards_fits() -> None:
    assert id_card_check("11010519491231002") == "X"  # GB 11643-1999
    assert id_card_check("44052418800101001") == "4"


@settings(deadline=None)
@given(st.text("0123456789", min_size=17, max_size=17), st.integers(0, 16), st.integers(1, 9))
def test_an_id_card_check_sees_every_single_wrong_digit(number: str, place: int, off: int) -> None:
    wrong = number[:place] + str((int(number[place]) + off) % 10) + number[place + 1 :]
    assert id_card_check(wrong) != id_card_check(number)


@pytest.mark.parametrize("iban", ["GB82WEST12345698765432", "DE89370400440532013000", "FR1420041010050500013M02606"])
def test_ibans_that_the_registry_gives_as_examples_fit_and_their_neighbours_do_not(iban: str) -> None:
    assert iban_fits(iban)
    dice = random.Random(1)
    for _ in range(50):
        place = dice.randrange(2, len(iban))
        other = dice.choice("0123456789".replace(iban[place], ""))
        assert not iban_fits(iban[:place] + other + iban[place + 1 :])
