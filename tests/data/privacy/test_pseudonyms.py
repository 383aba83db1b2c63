import ipaddress
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.privacy.checksums import iban_fits, luhn
from hanmo.data.privacy.personal import find, is_reserved_host
from hanmo.data.privacy.personal_numbers import is_id_card, is_reserved_phone
from hanmo.data.privacy.pseudonyms import Draw, pseudonym

VALUES = {
    "email": "li@hanmo.cn",
    "url": "https://anna:s3cret@git.hanmo.cn/x",
    "iban": "GB82 WEST 1234 5698 7654 32",
    "id_card": "11010519491231002X",
    "bank_card": "4111 1111 1111 1111",
    "ssn": "536-22-8714",
    "phone": "13800138000",
}


@pytest.mark.parametrize("kind", VALUES)
def test_the_same_value_gets_the_same_one_and_another_value_or_seed_another(kind: str) -> None:
    value = VALUES[kind]
    other = value.translate(str.maketrans("1234acilmn", "2345bdjkno"))
    first = pseudonym(value, kind, 7)
    assert first == pseudonym(value, kind, 7) != value
    assert len({first, pseudonym(value, kind, 8), pseudonym(other, kind, 7)}) == 3


def test_one_number_written_in_many_ways_stays_one() -> None:
    for group in (
        ["13800138000", "138-0013-8000", "+86 138 0013 8000", "0086-13800138000"],
        ["010-62345678", "(010)62345678", "+86-10-6234-5678"],
        ["(212) 736-5000", "+1 212.736.5000", "1-212-736-5000", "212-736-5000 x12"],
    ):
        assert len({pseudonym(value, "phone", 1) for value in group}) == 1
    assert pseudonym("4111-1111-1111-1111", "bank_card", 1) == pseudonym("4111 1111 1111 1111", "bank_card", 1)
    assert pseudonym("gb82west12345698765432", "iban", 1) == pseudonym("GB82 WEST 1234 5698 7654 32", "iban", 1)


@pytest.mark.parametrize("seed", range(30))
def test_what_is_drawn_belongs_to_nobody_and_looks_alike(seed: int) -> None:
    made = {kind: pseudonym(value, kind, seed) for kind, value in VALUES.items()}
    assert is_reserved_host(made["email"].split("@")[1])
    assert made["url"].startswith("https://user:secret@") and is_reserved_host(made["url"].split("@")[1].rstrip("/"))
    assert not luhn(made["bank_card"]) and len(made["bank_card"]) == 16 and made["bank_card"][0] == "4"
    assert len(made["id_card"]) == 18 and not is_id_card(made["id_card"])
    assert not iban_fits(made["iban"]) and len(made["iban"]) == 22
    assert made["ssn"].startswith("000-") and len(made["ssn"]) == 11
    for phone in ("13800138000", "010-62345678", "(212) 736-5000", "467 3395", "+44 7911 123456", "03.93.92.16.85"):
        drawn = pseudonym(phone, "phone", seed)
        assert is_reserved_phone(drawn) or drawn.startswith("+999")
    assert any(ipaddress.ip_address(pseudonym("93.184.216.34", "ip", seed)) in ipaddress.ip_network(net) for net in NETS)
    assert ipaddress.ip_address(pseudonym("2001:4860:4860::8888", "ip", seed)) in ipaddress.ip_network("2001:db8::/32")


NETS = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")


@settings(deadline=None)
@given(st.sampled_from(sorted(VALUES)), st.integers(0, 2**64), st.sampled_from(["{}", "call {}", "手机{}，", "my card {}", "ip {} tel {}"]))
def test_a_stand_in_is_not_found_again(kind: str, seed: int, frame: str) -> None:
    drawn = pseudonym(VALUES[kind], kind, seed)
    assert find(frame.format(drawn, drawn)) == []


@settings(deadline=None)
@given(st.text("0123456789", min_size=7, max_size=15), st.sampled_from(["", "+", "0", "(", "00"]), st.integers(0, 9))
def test_no_stand_in_of_a_telephone_is_found_again(digits: str, before: str, seed: int) -> None:
    assert find("电话" + pseudonym(before + digits, "phone", seed)) == []


def test_no_stand_in_of_an_id_card_or_a_telephone_passes_for_a_bank_card() -> None:
    for seed in range(400):
        made = [
            pseudonym("11010519491231002X", "id_card", seed),
            pseudonym("+4917612345678", "phone", seed),
            pseudonym("123456789012", "phone", seed),
        ]
        assert find("my card " + ", card ".join(made)) == []


def test_draws_cover_what_they_may() -> None:
    draw = Draw(10**60 - 1)
    assert all(len(draw.digits(n)) == n and set(draw.digits(n)) <= set(string.digits) for n in (0, 1, 5))
    assert {Draw(number).below(3) for number in range(9)} == {0, 1, 2}
