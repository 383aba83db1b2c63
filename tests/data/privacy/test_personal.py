import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.privacy.personal import KINDS, Spans, find, is_reserved_host


def found(text: str) -> list[tuple[str, str]]:
    return [(finding.kind, text[finding.start : finding.stop]) for finding in find(text)]


@pytest.mark.parametrize(
    "text, value",
    [
        ("Write to Anna.Berg+books@post.bookshop.se, please.", "Anna.Berg+books@post.bookshop.se"),
        ("邮箱zhang_wei@hanmo.cn。", "zhang_wei@hanmo.cn"),
        ("（li.na@math.hanmo.edu.cn）", "li.na@math.hanmo.edu.cn"),
        ("mailto:o'neil@hanmo.ie?subject=x", "neil@hanmo.ie"),
        ("联系13800138000@qq.com", "13800138000@qq.com"),
    ],
)
def test_addresses_for_mail_are_found_in_both_languages(text: str, value: str) -> None:
    assert found(text) == [("email", value)]


@pytest.mark.parametrize(
    "text",
    [
        "the icon is logo@2x.png",
        "clone git@github.com:hanmo/hanmo.git",
        "install pkg@1.2.3 or pkg@latest",
        "@property and @functools.cache",
        "5 books @ 3.50 each",
        "user@localhost, root@server, sd@devanagari.UTF-8",
        "write to somebody@example.com or a@b.example",
        "微博@张三的日记",
        "a .@x.com b",
    ],
)
def test_what_only_looks_like_mail_is_left(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "text, value",
    [
        ("see https://anna:s3cret@git.hanmo.cn/team/repo.git.", "https://anna:s3cret@git.hanmo.cn/team/repo.git"),
        ("数据库：postgres://root:p4ss@10.0.0.7:5432/shop，请勿外传", "postgres://root:p4ss@10.0.0.7:5432/shop"),
        ("(ftp://u:p@files.hanmo.cn)", "ftp://u:p@files.hanmo.cn"),
        ("GET https://api.hanmo.cn/v1/list?page=2&api_key=9f8e7d6c5b4a ok", "https://api.hanmo.cn/v1/list?page=2&api_key=9f8e7d6c5b4a"),
    ],
)
def test_urls_that_hold_a_password_or_a_key_are_found_whole(text: str, value: str) -> None:
    assert found(text) == [("url", value)]


@pytest.mark.parametrize(
    "text",
    [
        "https://www.hanmo.cn/a/b?page=2&tokens=100",
        "见https://www.hanmo.cn/新闻/2019-05-12.html。",
        "http://localhost:8080/x and http://user@hanmo.cn/",
        "https://user:password@db.example.com/",
        "time 12:30 :// nothing",
    ],
)
def test_urls_without_credentials_are_left(text: str) -> None:
    assert [kind for kind, _ in found(text) if kind == "url"] == []


@pytest.mark.parametrize(
    "text, value",
    [
        ("ping 2001:4860:4860::8888.", "2001:4860:4860::8888"),
        ("来自[2400:3200:1:2:3:4:5:6]:443", "2400:3200:1:2:3:4:5:6"),
        ("host 2A02:26F0:10E::1: no answer", "2A02:26F0:10E::1"),
    ],
)
def test_addresses_of_version_six_are_found(text: str, value: str) -> None:
    assert found(text) == [("ip", value)]


@pytest.mark.parametrize(
    "text",
    [
        "at 12:30:45, 2019-05-12T12:30:45",
        "MAC 00:1a:2b:3c:4d:5e and 00:1a:2b:ff:fe:3c:4d:5e",
        "std::begin, a::b, Face::Cafe, ::1, fe80::1",
        "2001:db8::1 stands in books",
        "比分3:2:1",
    ],
)
def test_times_and_names_with_colons_are_left(text: str) -> None:
    assert found(text) == []


def test_full_width_digits_are_read_too() -> None:
    assert found("电话：１３８００１３８０００") == [("phone", "１３８００１３８０００")]


def test_kinds_can_be_chosen_and_the_surest_one_wins() -> None:
    text = "11010519491231002X anna@hanmo.cn 13800138000"
    assert [f.kind for f in find(text)] == ["id_card", "email", "phone"]
    assert [f.kind for f in find(text, ("phone",))] == ["phone"]
    assert find(text, ()) == []


def test_hosts_set_aside_for_examples_are_known() -> None:
    assert [is_reserved_host(h) for h in ("example.com", "a.b.example.org", "x.test", "example.com.cn", "contest")] == [True] * 3 + [
        False
    ] * 2


def test_the_first_comer_keeps_its_place() -> None:
    spans = Spans()
    for start, stop in ((5, 9), (8, 12), (0, 6), (9, 10), (4, 5), (0, 20)):
        spans.add(start, stop, "x")
    assert [(f.start, f.stop) for f in spans.found] == [(4, 5), (5, 9), (9, 10)]


PIECES = st.sampled_from([*"0159 -.()@:/+xX\n，转", "138", "::", "://", "a.com", "card ", "电话", "６", "2019", "555"])


@settings(deadline=None)
@given(st.lists(PIECES, max_size=60).map("".join))
def test_findings_are_ordered_apart_and_inside_the_text(text: str) -> None:
    findings = find(text)
    borders = [border for finding in findings for border in (finding.start, finding.stop)]
    assert borders == sorted(borders) and all(f.start < f.stop <= len(text) and f.kind in KINDS for f in findings)


@pytest.mark.parametrize("piece", ["1", "1 ", "a@", "a.", "@a.", "://", ":0", "13800138000 ", "(", "+86", "1-", "a:b@", "4111-", "://a:"])
def test_time_grows_with_length_only(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    short = text[: len(text) // 20]
    began = time.process_time()
    find(short)
    middle = time.process_time()
    find(text)
    assert time.process_time() - middle < 100 * (middle - began) + 0.5  # twenty times as long; a square would take 400 times
