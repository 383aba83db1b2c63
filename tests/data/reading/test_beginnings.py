import pytest

from hanmo.data.reading.beginnings import has_cues, is_json_so_far, is_page_of_a_server, text_kind, unread_words

MAIL = "Return-Path: <a@example.org>\nFrom: A <a@example.org>\nTo: B <b@example.org>\nSubject: =?utf-8?B?5L2g5aW9?=\n\nwords\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{\\rtf1\\ansi 你好}", "an RTF document"),
        ("<?xml version='1.0'?>\n<!-- a\n b --><mediawiki xml:lang='zh'>", "XML <mediawiki>"),
        ("<!DOCTYPE book SYSTEM 'x'>\n<book>", "XML <book>"),
        ("<?xml version='1.0'?><!-- by <a@b.org> --><?xml-stylesheet href='x'?><!DOCTYPE c [<!ELEMENT d (e)>]><c>", "XML <c>"),
        ("<svg width='1'>", "XML <svg>"),
        ("<root a='1' xmlns:b='c'>", "XML <root>"),
        (MAIL, "an e-mail"),
        (MAIL.replace("\n", "\r\n"), "an e-mail"),
        ("From a@example.org Mon Jan  5 10:00:00 2026\n" + MAIL, "a mailbox"),
        (MAIL.replace("Subject", 'Content-Type: multipart/related; type="text/html"\nSubject'), "a page saved as MHTML"),
        ("From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: A\n", "a patch in a mail"),
        ("%!PS-Adobe", "PostScript"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
        ("-----BEGIN RSA PRIVATE KEY-----\nx\n", "a key or a certificate"),
        ("BEGIN:VCALENDAR\r\n", "a calendar or a card"),
    ],
)
def test_what_is_known_and_not_read_has_a_name_and_a_way_out(text: str, words: str) -> None:
    said = unread_words(text)
    assert said.startswith(f"{words} is not read: ") and len(said) > len(words) + 20


@pytest.mark.parametrize(
    "text",
    [
        "From: the king\nTo: the people\nDate: today\n\nHear us.\n",  # a letter in a novel
        "From the beginning\nwords",
        "Subject: verbs\n\nwords",
        "Note: From: and To: are headers\n",
        "<p>a fragment</p>",
        "<html xmlns='http://www.w3.org/1999/xhtml'>",
        "<?xml version='1.0'?><?xml-stylesheet href='x'?><!-- c --><html>",
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nwords",
        "<doc id='1'>\nwords</doc>",
        "BEGIN the story",
        "",
    ],
)
def test_words_that_only_look_like_it_are_text(text: str) -> None:
    assert unread_words(text) == ""


def test_a_million_comments_before_nothing_are_looked_at_in_no_time() -> None:
    text = "<!-- a -->" * 6000 + "<!-- " * 500
    assert text_kind(text, True) == "" and unread_words(text) == ""


@pytest.mark.parametrize("end", range(1, len('{"a": [true, -1, "\\u4f60\\n", {}], "b": null}')))
def test_every_beginning_of_json_is_json_so_far(end: int) -> None:
    assert is_json_so_far('{"a": [true, -1, "\\u4f60\\n", {}], "b": null}'[:end])


@pytest.mark.parametrize("text", ["{a", '{"a" 1', '{"a": b}', "words", '{"a": 1} words', "[" * 100_000])
def test_other_texts_are_no_json(text: str) -> None:
    assert not is_json_so_far(text)


def test_cues_may_stand_anywhere_under_a_name_that_promises_them() -> None:
    assert has_cues("made by me\n\n1\n0:01.5 --> 0:02.5\nwords") and not has_cues("12 --> 13")


def test_a_page_of_a_server_holds_no_program() -> None:
    assert (
        is_page_of_a_server("  <!doctype html>")
        and is_page_of_a_server("<!-- x --><div class=y>")
        and not is_page_of_a_server("<p><?= $x ?>")
        and not is_page_of_a_server("<?php")
    )


def test_a_page_that_a_server_gives_as_xhtml_is_a_page_and_its_feed_is_none() -> None:
    prolog = '<?xml version="1.0" encoding="utf-8"?>\r\n'
    assert is_page_of_a_server(f'{prolog}<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x">\n<html xmlns="y"><p>z')
    assert is_page_of_a_server(f"{prolog}<html><p>x") and not is_page_of_a_server(f"{prolog}<html><?= $x ?>")
    assert not is_page_of_a_server(f"{prolog}<rss><item>x") and not is_page_of_a_server('<rss version="2.0"><item>x')
