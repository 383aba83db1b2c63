import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.privacy.checksums import id_card_check, luhn
from hanmo.data.privacy.personal import find
from hanmo.data.privacy.personal_numbers import is_id_card, is_reserved_phone, numbers_in


def found(text: str) -> list[tuple[str, str]]:
    return [(finding.kind, text[finding.start : finding.stop]) for finding in find(text)]


@pytest.mark.parametrize(
    "text, value",
    [
        ("我的手机号是13800138000，随时找我", "13800138000"),
        ("手机 138-0013-8000", "138-0013-8000"),
        ("+86 138 0013 8000", "+86 138 0013 8000"),
        ("86-13800138000", "86-13800138000"),
        ("总机010-62345678转8001", "010-62345678转8001"),
        ("（0571）8765 4321", "（0571）8765 4321"),
        ("+86-10-6234-5678", "+86-10-6234-5678"),
        ("服务热线 400-810-6666", "400-810-6666"),
        ("电话：62345678", "62345678"),
        ("电话（62345678）", "62345678"),
        ("王老师（+86-150-1234-7599）", "+86-150-1234-7599"),
        ("(+86)13800138000", "(+86)13800138000"),
        ("Call +44 7911 123456 today", "+44 7911 123456"),
        ("Tel. (212) 736-5000", "(212) 736-5000"),
        ("212.736.5000 x12", "212.736.5000 x12"),
        ("1-800-736-5000", "1-800-736-5000"),
        ("001-212-736-5000", "001-212-736-5000"),
        ("+46 (0)8 928 571 38 fax", "+46 (0)8 928 571 38"),
        ("phone: 467 3395", "467 3395"),
        ("reach me at 03.93.92.16.85", "03.93.92.16.85"),
    ],
)
def test_telephones_are_found_in_both_languages(text: str, value: str) -> None:
    assert found(text) == [("phone", value)]


@pytest.mark.parametrize(
    "text",
    [
        "ISBN 978-7-100-12345-6, ISBN 0-306-40615-2, ISBN 9787100123456",
        "订单号2023111222001234567，快递单号 75312345678901",
        "版本 10.0.19041.1, Python 3.11.4, Windows 10.0.19045",
        "2019-05-12, 12.05.2019, 20190512, 2019 05 12, 1998-2004, 1990 1991 1992",
        "电话会议定于2019-05-12召开，手机销量：2018-2019",
        "售价13800138000元，￥13912345678，$13800138000",
        "共1 234 567个字，人口 1400000000",
        "+20 000 000 000 people, x = +35236450.65",
        "时间戳1700000000, 1700000000123",
        "坐标 39.904200, 116.407396",
        "圆周率3.14159265358979",
        "a13800138000b, id_13800138000, /item/x13800138000",
        "11345678901, 10012345678",
        "call 2125550142 or 212-555-0142 in the film",
        "第5.1.2.3节, section 5.1.2.3",
        "QQ 123456789",
        "比分 100-98, 2:1",
    ],
)
def test_false_friends_are_left(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize("text, value", [("来自 93.184.216.34 的请求", "93.184.216.34"), ("http://93.184.216.34:80/a", "93.184.216.34")])
def test_addresses_of_version_four_are_found(text: str, value: str) -> None:
    assert found(text) == [("ip", value)]


@pytest.mark.parametrize(
    "text",
    [
        "version 93.184.216.34, 版本93.184.216.34, v93.184.216.34, Agent/93.184.216.34",
        "127.0.0.1, 192.168.1.20, 10.11.12.13, 0.0.0.0, 255.255.255.255, 224.0.0.251",
        "192.0.2.7, 198.51.100.3 and 203.0.113.9 stand in books",
        "256.184.216.34, 93.184.216.34.5, 093.184.216.034",
        "1.2.3.4 is a list, 8.2.4.45 a section",
    ],
)
def test_versions_private_addresses_and_sections_are_left(text: str) -> None:
    assert found(text) == []


def test_a_word_makes_an_address_of_small_numbers() -> None:
    assert found("the DNS server 8.8.8.8") == [("ip", "8.8.8.8")]


@pytest.mark.parametrize("written", ["11010519491231002X", "110105 19491231 002x", "110105-19491231-002X"])
def test_id_cards_are_found(written: str) -> None:
    assert found(f"身份证号：{written}。") == [("id_card", written)]


@pytest.mark.parametrize("number", ["110105194912310021", "11010519491231003X", "110105 19491231 0021", "A11010519491231002X"])
def test_id_cards_with_a_wrong_check_are_left(number: str) -> None:
    assert found(f"号：{number}。") == []


@pytest.mark.parametrize("number", ["99010519491231002", "11010519490231002", "11010518491231002", "11010521491231002"])
def test_id_cards_with_a_wrong_birthday_or_province_are_left(number: str) -> None:
    assert found(f"号：{number}{id_card_check(number)}。") == []


def test_birthdays_that_never_were_do_not_fit() -> None:
    for birthday in ("19490231", "20011301", "19000229", "20000230"):
        number = f"110105{birthday}002"
        assert not is_id_card(number + id_card_check(number))
    assert is_id_card("11010520000229002" + id_card_check("11010520000229002"))


@pytest.mark.parametrize(
    "written",
    [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "3782 822463 10005",
        "6011000990139424",
        "5555555555554444",
        "3530111333300000",
        "6222021234567890128",
        "6222 0212 3456 7890 128",
    ],
)
def test_bank_cards_are_found(written: str) -> None:
    assert luhn("".join(filter(str.isdigit, written)))
    assert found(f"Pay with {written}.") == [("bank_card", written)]
    assert found(f"卡号{written}，余额不足") == [("bank_card", written)]


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",
        "order 1111111111111117",
        "0000000000000000",
        "x4111111111111111, 4111111111111111.5, 4111,1111,1111,1111",
        "9787544270878",
        "https://hanmo.cn/item/4111111111111111/",
    ],
)
def test_other_long_numbers_are_left(text: str) -> None:
    assert found(text) == []


def test_short_cards_need_a_word() -> None:
    assert found("number 4222222222222") == []
    assert found("my credit card. Number is 4222222222222") == [("bank_card", "4222222222222")]


def test_a_card_is_found_before_its_date() -> None:
    assert found("4111 1111 1111 1111 12/27") == [("bank_card", "4111 1111 1111 1111")]


def test_accounts_and_social_security_numbers_are_found() -> None:
    assert found("IBAN GB82 WEST 1234 5698 7654 32, DE89370400440532013000") == [
        ("iban", "GB82 WEST 1234 5698 7654 32"),
        ("iban", "DE89370400440532013000"),
    ]
    assert found("GB83 WEST 1234 5698 7654 32 and ZZ82WEST12345698765432") == []
    assert found("SSN 536-22-8714, not 000-22-8714, 666-22-8714, 936-22-8714 or 536-00-8714") == [("ssn", "536-22-8714")]


def test_neighbours_are_told_apart() -> None:
    assert [value for _, value in found("13800138000 13900139000、010-62345678/18612345678")] == [
        "13800138000",
        "13900139000",
        "010-62345678",
        "18612345678",
    ]


@pytest.mark.parametrize(
    "text, values",
    [
        ("2001:4860:4860::8888 4111 1111 1111 1111", ["2001:4860:4860::8888", "4111 1111 1111 1111"]),
        ("Tel:  467 3395 (212) 736-5000", ["467 3395", "(212) 736-5000"]),
        ("+44 7911 123456 (212) 736-5000", ["+44 7911 123456", "(212) 736-5000"]),
        ("电话 62345678 11010519491231002X", ["62345678", "11010519491231002X"]),
    ],
)
def test_what_is_no_number_hides_none_that_begins_inside_it(text: str, values: list[str]) -> None:
    assert [value for _, value in found(text)] == values


def test_what_begins_behind_a_run_is_left_to_the_next_one() -> None:
    text = "(010)62345678 +8610 62345678"
    assert list(numbers_in(text, 1, 13)) == [(0, 13, "phone")]


def test_numbers_for_fiction_are_reserved() -> None:
    assert is_reserved_phone("+1 212 555 0199") and not is_reserved_phone("212-555-0200")


@settings(deadline=None)
@given(st.integers(0, 9999), st.dates(datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)), st.integers(0, 999))
def test_every_id_card_with_a_real_birthday_is_found(region: int, born: datetime.date, serial: int) -> None:
    digits = f"44{region:04}{born:%Y%m%d}{serial:03}"
    card = digits + id_card_check(digits)
    assert found(f"号{card}。") == [("id_card", card)]
