import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import hanmo
from hanmo.base.errors import ModelError
from hanmo.cli import chat
from hanmo.cli.main import run
from hanmo.generate.options import ANSWER_TOKENS, CALM, SamplingOptions
from hanmo.generate.worker import Ticket
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.model.store import save_model
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import TokenizerConfig, train_tokenizer

TURNS = "{% for m in messages %}<|endoftext|>{{ m.role }}: {{ m.content }}{% endfor %}"
TEMPLATE = TURNS + "{% if add_generation_prompt %}<|endoftext|>assistant: {% endif %}"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("made")
    train_tokenizer(["one two three two one", "一二三二一。"] * 4, TokenizerConfig(kind="bpe", vocab_size=270)).save(folder / "tokenizer")
    (folder / "tokenizer" / "chat_template.jinja").write_text(TEMPLATE)
    size = Tokenizer.load(folder / "tokenizer").vocab_size
    config = DecoderConfig(vocab_size=size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=120)
    save_model(Decoder(config), folder / "model", tokenizer_folder=folder / "tokenizer")
    return folder / "model"


def typed(monkeypatch: pytest.MonkeyPatch, *lines: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n".join(lines)), encoding="utf-8"))


def test_a_turn_is_answered_with_all_turns_before_it(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, b"one", b"", "二".encode())
    assert run(["chat", str(model), "--system", "three", "--seed", "3", "--max-tokens", "6", "--json"]) == 0
    heard = capsys.readouterr()
    said = json.loads(heard.out)["messages"]
    assert [each["role"] for each in said] == ["system", "user", "assistant", "user", "assistant"]
    loaded = hanmo.load(model)
    for number in (2, 4):
        assert said[number]["content"] == loaded.answer(said[:number], seed=3, max_tokens=6)
        assert said[number]["content"] in heard.err


def test_new_forgets_and_bye_ends(model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, b"one", b"/new", b"two", b"/bye", b"three")
    assert run(["chat", str(model), "--greedy", "--max-tokens", "3", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["messages"]
    assert (len(said), said[0]["content"]) == (2, "two")


def test_a_conversation_that_is_full_says_so_and_goes_on(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, b"one " * 200, b"two")
    assert run(["chat", str(model), "--greedy", "--max-tokens", "3", "--json"]) == 0
    heard = capsys.readouterr()
    assert "/new begins another" in heard.err
    assert len(json.loads(heard.out)["messages"]) == 2


def test_ctrl_c_gives_an_answer_up_and_keeps_what_was_said(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def write(ticket: Ticket) -> None:
        for event in ticket:
            written.append(event.text)
            if len(written) == 3:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(chat, "_write", write)
    typed(monkeypatch, b"one")
    assert run(["chat", str(model), "--seed", "5", "--max-tokens", "100000", "--json"]) == 0
    (_, answer) = json.loads(capsys.readouterr().out)["messages"]
    assert answer["content"].startswith("".join(written[:3]))


def test_what_cannot_be_is_one_line(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, b"\xff\xfe")
    assert run(["chat", str(model)]) == 2
    assert "not UTF-8" in capsys.readouterr().err
    typed(monkeypatch, b"one")
    assert run(["chat", str(model), "--template-arg", "enable_thinking"]) == 2
    assert "--template-arg (=enable_thinking) should be NAME=VALUE" in capsys.readouterr().err
    assert run(["chat", str(model), "--template-arg", "enable_thinking=false"]) == 2
    assert "the chat template has no variable 'enable_thinking'" in capsys.readouterr().err
    save_model(hanmo.load(model).network, tmp_path / "plain", tokenizer_folder=model)
    (tmp_path / "plain" / "chat_template.jinja").unlink()
    assert run(["chat", str(tmp_path / "plain")]) == 1
    assert "has no chat template" in capsys.readouterr().err
    with pytest.raises(ModelError, match="no chat template"):
        hanmo.load(tmp_path / "plain").answer([{"role": "user", "content": "one"}])


def test_nothing_is_offered_that_a_conversation_refuses(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit):
        run(["chat", "--help"])
    shown = capsys.readouterr().out
    for name in ("num-beams", "penalty-alpha", "speculate", "num-return-sequences", "draft"):
        assert f"--{name}" not in shown
    typed(monkeypatch, b"one")
    assert run(["chat", str(model), "--num-beams", "2"]) == 2
    assert "--num-beams" in capsys.readouterr().err


def test_an_answer_that_is_cut_says_so(model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, b"one")
    assert run(["chat", str(model), "--max-tokens", "3", "--seed", "3", "--json"]) == 0
    heard = capsys.readouterr()
    assert "(the answer was cut at max_tokens (=3): ask it to go on" in heard.err
    assert [each["finish_reason"] for each in json.loads(heard.out)["answers"]] == ["length"]
    typed(monkeypatch, b"one")
    assert run(["chat", str(model), "--seed", "3", "--overflow", "stop", "--min-tokens", "500"]) == 0
    assert "cut where the context of 120 tokens is full" in capsys.readouterr().err
    typed(monkeypatch, b"one")
    assert run(["chat", str(model), "--regex", "[ab]", "--max-tokens", "5"]) == 0
    assert "cut" not in capsys.readouterr().err
    typed(monkeypatch, b"one")
    assert run(["chat", str(model), "--json-schema", "true", "--close-json", "90", "--max-tokens", "2", "--seed", "1", "--json"]) == 0
    heard = capsys.readouterr()
    assert "the JSON was closed after max_tokens (=2)" in heard.err
    json.loads(json.loads(heard.out)["messages"][1]["content"])


def test_what_of_a_form_is_not_checked_is_told_once(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, b"one", b"two")
    schema = '{"type": "string", "format": "tint", "maxLength": 3}'
    assert run(["chat", str(model), "--json-schema", schema, "--max-tokens", "9", "--seed", "1"]) == 0
    assert capsys.readouterr().err.count("format 'tint' is not one that is checked") == 1


def test_log_probabilities_are_shown_after_an_answer(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, b"one")
    assert run(["chat", str(model), "--max-tokens", "4", "--min-tokens", "4", "--seed", "3", "--logprobs", "--json"]) == 0
    heard = capsys.readouterr()
    (told,) = json.loads(heard.out)["answers"]
    assert len(told["logprobs"]) == len(told["tokens"]) == 4
    assert f"{told['logprobs'][0]:8.3f}  {told['tokens'][0]}" in heard.err


def test_what_is_typed_as_a_special_token_is_told_to_be_text(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, b"one <|endoftext|> two")
    assert run(["chat", str(model), "--max-tokens", "3"]) == 0
    assert "what was typed spells <|endoftext|>: that is taken as text" in capsys.readouterr().err


def test_a_block_between_three_quotes_is_one_turn(model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, b'"""one', b"", b"  /bye", b'two"""', b'"""three"""', b'"""four', b"five")
    assert run(["chat", str(model), "--max-tokens", "3", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["messages"]
    assert [each["content"] for each in said if each["role"] == "user"] == ["one\n\n  /bye\ntwo", "three", "four\nfive"]


PASTED = """
import sys
from hanmo.cli.chat import _turns
for turn in _turns():
    sys.stdout.write(repr(turn) + chr(10))
    sys.stdout.flush()
"""


@pytest.mark.parametrize("pasted", [b"\x1b[200~one\n\ntwo\x1b[201~\n", b"one\n\ntwo\n"], ids=["marked by the terminal", "not marked"])
def test_a_paragraph_pasted_in_a_terminal_is_one_turn(pasted: bytes) -> None:
    """In a terminal of its own: what it says is read until the turn is there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", PASTED], stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    ) as process:
        os.close(theirs)
        shown = read_until(ours, b"> ")
        os.write(ours, pasted)
        shown += read_until(ours, b"two'")
        os.write(ours, b"/bye\n")
        assert b"'one\\n\\ntwo'" in shown
        assert process.wait(30) == 0
    os.close(ours)


def read_until(terminal: int, wanted: bytes) -> bytes:
    """What a terminal shows until some words are there, or nothing comes any more."""
    shown = b""
    while wanted not in shown and select.select([terminal], [], [], 30)[0]:
        shown += os.read(terminal, 4096)
    return shown


def test_a_value_for_the_template_reaches_it(model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, b"one")
    words = ["--template-arg", "mood=three", "--template-arg", "loud=true"]
    template = model / "chat_template.jinja"
    plain = template.read_text()
    template.write_text("{{ mood }}{% if loud is true %}!{% endif %}" + plain)
    try:
        assert run(["chat", str(model), *words, "--seed", "3", "--max-tokens", "5", "--json"]) == 0
        said = json.loads(capsys.readouterr().out)["messages"]
        expected = hanmo.load(model).answer(said[:1], seed=3, max_tokens=5, arguments={"mood": "three", "loud": True})
        assert said[1]["content"] == expected
    finally:
        template.write_text(plain)


def test_a_folder_that_says_how_to_draw_is_obeyed_and_one_that_does_not_gets_the_calm_way(model: Path) -> None:
    drawn = chat.parse([str(model)]).sampling
    assert {name: getattr(drawn, name) for name in CALM} == dict(CALM)
    assert hanmo.load(model).answer_defaults == drawn
    settings = model / "generation_config.json"
    before = settings.read_text() if settings.exists() else None
    settings.write_text('{"top_k": 7}')
    try:
        assert chat.parse([str(model)]).sampling == SamplingOptions(top_k=7, max_tokens=ANSWER_TOKENS)
        assert chat.parse([str(model), "--top-k", "3"]).sampling.top_k == 3
    finally:
        settings.unlink() if before is None else settings.write_text(before)


def test_without_words_from_model_or_user_an_answer_may_be_long(model: Path) -> None:
    assert chat.parse([str(model)]).sampling.max_tokens == ANSWER_TOKENS
    assert chat.parse([str(model), "--max-tokens", "7"]).sampling.max_tokens == 7
