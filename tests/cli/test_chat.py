import io
import json
import signal
import sys
from pathlib import Path

import pytest
import torch

import hanmo
from hanmo.base.errors import ModelError
from hanmo.cli import chat
from hanmo.cli.main import run
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
        for _, piece in ticket:
            written.append(piece)
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
    assert run(["chat", str(model), "--num-beams", "2"]) == 2
    assert "leave num_beams" in capsys.readouterr().err
    assert run(["chat", str(model), "--num-return-sequences", "2"]) == 2
    assert "one answer" in capsys.readouterr().err
    save_model(hanmo.load(model).network, tmp_path / "plain", tokenizer_folder=model)
    (tmp_path / "plain" / "chat_template.jinja").unlink()
    assert run(["chat", str(tmp_path / "plain")]) == 1
    assert "has no chat template" in capsys.readouterr().err
    with pytest.raises(ModelError, match="no chat template"):
        hanmo.load(tmp_path / "plain").answer([{"role": "user", "content": "one"}])


def test_without_words_from_model_or_user_an_answer_may_be_long(model: Path) -> None:
    assert chat.parse([str(model)]).sampling.max_tokens == chat.ANSWER_TOKENS
    assert chat.parse([str(model), "--max-tokens", "7"]).sampling.max_tokens == 7
