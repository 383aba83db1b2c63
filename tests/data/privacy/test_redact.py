import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.base.errors import ConfigError
from hanmo.data.privacy.personal import KINDS
from hanmo.data.privacy.redact import COUNT_COLUMNS, RedactConfig, redact, redact_metadata

CHINESE = "张先生的手机是13800138000，邮箱zhang@hanmo.cn，身份证11010519491231002X；再说一遍：13800138000。"
ENGLISH = "Mail anna@hanmo.se, call (212) 736-5000, or see https://a:b4c5@hanmo.se/x. Version 10.20.30.40, ISBN 9787100123456."


def test_masks_have_one_form_in_both_languages() -> None:
    text, counts = redact(CHINESE, RedactConfig(mode="mask"))
    assert text == "张先生的手机是[PHONE]，邮箱[EMAIL]，身份证[ID_CARD]；再说一遍：[PHONE]。"
    assert {kind: number for kind, number in counts.items() if number} == {"phone": 2, "email": 1, "id_card": 1}
    text, _ = redact(ENGLISH, RedactConfig(mode="mask"))
    assert text == "Mail [EMAIL], call [PHONE], or see [URL]. Version 10.20.30.40, ISBN 9787100123456."


def test_pseudonyms_are_the_same_across_texts() -> None:
    config = RedactConfig(mode="pseudonymise", seed=5)
    first, counts = redact(CHINESE, config)
    assert counts == redact(CHINESE, RedactConfig())[1]
    phone = first.split("手机是")[1][:11]
    assert first.count(phone) == 2 and redact("还是13800138000吗", config)[0] == f"还是{phone}吗"
    assert redact("还是13800138000吗", RedactConfig(mode="pseudonymise", seed=6))[0] != f"还是{phone}吗"


def test_counting_changes_nothing_and_off_looks_for_nothing() -> None:
    text, counts = redact(CHINESE, RedactConfig())
    assert text == CHINESE and list(counts) == list(KINDS) == list(COUNT_COLUMNS)
    assert redact(CHINESE, RedactConfig(mode="off")) == (CHINESE, {})


def test_only_the_kinds_that_were_asked_for_are_replaced() -> None:
    assert redact("13800138000 zhang@hanmo.cn", RedactConfig(mode="mask", kinds=("email",))) == ("13800138000 [EMAIL]", {"email": 1})


def test_metadata_gets_the_same_replacements() -> None:
    assert redact_metadata({"author": "Anna <anna@hanmo.se>", "year": "2019"}, RedactConfig(mode="mask")) == {
        "author": "Anna <[EMAIL]>",
        "year": "2019",
    }


def test_an_unknown_kind_is_told_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"redact.kinds: unknown key 'emial': did you mean 'email'"):
        RedactConfig(kinds=("emial",))


PIECES = st.sampled_from(
    ["0", "19", "-.", "@:", "+", "13800138000", "zhang@hanmo.cn", "(212) 736-5000", "+44 7911 123456", "4111 1111 1111 1111", "card ",
     "电话", "11010519491231002X", "93.184.216.34", "2001:4860:4860::8888", "https://a:b@c.cn/", "GB82WEST12345698765432", "010-62345678",
     "call ", "536-22-8714", "467 3395", "Tel: ", "x12"]
)  # fmt: skip


def set_apart(pieces: list[str]) -> str:
    return "".join(f"{piece}{'，' if number % 2 else ', '}" for number, piece in enumerate(pieces))


@settings(deadline=None)
@given(st.lists(PIECES, max_size=8).map(set_apart), st.sampled_from(["mask", "pseudonymise"]))
def test_redacting_twice_gives_what_redacting_once_gave(text: str, mode: str) -> None:
    config = RedactConfig(mode=mode)  # pyright: ignore[reportArgumentType]
    once, _ = redact(text, config)
    twice, counts = redact(once, config)
    assert (twice, sum(counts.values())) == (once, 0)
