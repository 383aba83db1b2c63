"""Texts that look like something else are told; honest ones in many languages are not."""

import pytest

from hanmo.data.cleaning.looks import LOOKS, looks_like

HONEST = [
    "The old man lays out his beans in a row every morning.",
    "今天天气很好，我们一起去公园散步，看见许多人在湖边钓鱼。",
    "今天天氣很好，我們一起去公園散步，看見許多人在湖邊釣魚。",
    "Вчера мы пошли в парк посмотреть на старые дубы. НИИ и МГУ рядом.",
    "Zażółć gęślą jaźń, a łabędzie pływają po stawie.",
    "Après-midi d'été: où êtes-vous? Ça dépend, répondit-il, très ému.",
    "Dün parka gittik ve göldeki kuğuları gördük.",
    "きのう公園へ行って、池の白鳥を見ました。",
    "어제 공원에 가서 연못의 백조를 보았습니다.",
    "Χθες πήγαμε στο πάρκο και είδαμε τους κύκνους.",
    "A set {a, b} is written with braces, and [1] is a reference.",
    "if x < y: return {}",
]
RUSSIAN, CHINESE = "Вчера мы пошли в парк посмотреть на старые дубы", "今天天气很好我们一起去公园散步看见许多人"


@pytest.mark.parametrize("text", HONEST)
def test_an_honest_text_looks_like_itself(text: str) -> None:
    assert looks_like(text) == ""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"prompt": "a", "answer": "b"}', "begins_like_json"),
        ('[\n {"text": "a"}]', "begins_like_json"),
        ("\n<!DOCTYPE html>\n<html>", "begins_like_page"),
        ("<BODY bgcolor=white>words", "begins_like_page"),
        (r"{\rtf1\ansi words}", "begins_like_rtf"),
        (RUSSIAN.encode("utf-8").decode("cp1251", "ignore"), "wrong_decoding"),
        (RUSSIAN.encode("utf-8").decode("koi8-r"), "wrong_decoding"),
        (RUSSIAN.encode("utf-8").decode("cp866"), "wrong_decoding"),
        (RUSSIAN.encode("koi8-r").decode("cp1251"), "wrong_decoding"),
        (RUSSIAN.encode("cp1251").decode("latin-1"), "wrong_decoding"),
        (CHINESE.encode("gb18030").decode("latin-1"), "wrong_decoding"),
    ],
)
def test_what_was_taken_for_text_or_for_another_encoding_is_told(text: str, name: str) -> None:
    assert looks_like(text) == name and name in LOOKS
