import io
import json
import sys
from pathlib import Path

import pytest
import torch

import hanmo
from hanmo.cli.generate import parse
from hanmo.cli.main import run
from hanmo.generate.options import SamplingOptions
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.model.store import save_model
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import TokenizerConfig, train_tokenizer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("made")
    train_tokenizer(["one two three two one", "一二三二一。"] * 4, TokenizerConfig(kind="bpe", vocab_size=270)).save(folder / "tokenizer")
    size = Tokenizer.load(folder / "tokenizer").vocab_size
    config = DecoderConfig(
        vocab_size=size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=32, initializer_range=0.3
    )
    save_model(Decoder(config), folder / "model", tokenizer_folder=folder / "tokenizer", generation={"max_new_tokens": 6})
    return str(folder / "model")


def test_one_text_is_written_to_standard_output(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["generate", model, "one", "--seed", "3"]) == 0
    assert capsys.readouterr().out == hanmo.load(model).generate("one", seed=3) + "\n"


def test_under_json_standard_output_is_one_object(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["generate", model, "一", "--seed", "3", "--greedy", "--max-tokens", "4", "--logprobs", "--json"]) == 0
    heard = capsys.readouterr()
    result = json.loads(heard.out)
    assert set(result) == {"text", "ids", "finish_reason", "prompt", "seed", "logprobs", "tokens"}
    assert len(result["ids"]) == len(result["tokens"]) == 4
    assert heard.err.startswith(result["text"] + "\n")
    made = hanmo.load(model).generations(["一"], seed=3, greedy=True, max_tokens=4)[0]
    assert (result["text"], result["ids"], result["finish_reason"]) == (made.text, made.ids, made.finish_reason)


def test_several_sequences_stand_under_headings_and_in_a_list(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["generate", model, "one", "--seed", "3", "--num-return-sequences", "3", "--stop", "zzz", "qqq"]
    assert run(words) == 0
    shown = capsys.readouterr().out
    assert run([*words, "--json"]) == 0
    sequences = json.loads(capsys.readouterr().out)["sequences"]
    assert len(sequences) == 3
    assert [f"--- {n} (" in shown for n in (1, 2, 3)] == [True] * 3
    assert all(each["text"] in shown for each in sequences)


def test_the_prompt_may_come_from_standard_input(model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("二".encode())))
    assert run(["generate", model, "-", "--seed", "1"]) == 0
    assert capsys.readouterr().out == hanmo.load(model).generate("二", seed=1) + "\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    assert run(["generate", model, "-"]) == 2
    assert "not UTF-8" in capsys.readouterr().err


def test_an_empty_prompt_starts_a_text(model: str) -> None:
    assert run(["generate", model, "", "--seed", "1"]) == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (
            ["MODEL", "one", "--temperature", "0"],
            2,
            "temperature (=0.0) should be above 0; for the most likely token",
        ),
        (["MODEL", "one", "--top-p", "2"], 2, "top_p"),
        (["MODEL", "one", "--top-kk", "1"], 2, "--top-kk"),
        (["MODEL"], 2, "missing: PROMPT"),
        (["MODEL", "one", "--num-return-sequences", "3", "--num-beams", "2"], 2, "exceeds num_beams (=2): raise num_beams"),
        (["MODEL", "one", "--suffix", "two"], 2, "no tokens for filling a gap"),
        (["MODEL", "one", "--draft", "MODEL"], 2, "say how far with speculate"),
        (["nowhere", "one"], 1, "nowhere does not exist"),
        (["MODEL", "one two three " * 30], 2, "takes at most 32: shorten it"),
    ],
)
def test_wrong_words_are_one_line_without_a_traceback(
    model: str, words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["generate", *(model if word == "MODEL" else word for word in words)]) == code
    heard = capsys.readouterr().err
    assert message in heard
    assert heard.count("\n") == 1


def test_searches_speculation_and_forms_are_flags(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str) -> dict:
        assert run(["generate", model, "one", "--seed", "3", *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    beams = said("--num-beams", "3", "--num-return-sequences", "2", "--early-stopping", "never", "--length-penalty", "0.5")
    assert [set(each) for each in beams["sequences"]] == [{"text", "ids", "finish_reason", "prompt", "seed", "score"}] * 2
    assert said("--speculate", "3") == said("--speculate", "3", "--draft", model) == said()
    assert len(said("--logprobs", "--top-logprobs", "2")["top_logprobs"][0]) == 2
    assert said("--logit-bias", "70", "100")["ids"] == [70] * 6
    assert said("--regex", "[ab]{3}")["text"] in {a + b + c for a in "ab" for b in "ab" for c in "ab"}


def test_log_probabilities_are_shown_token_by_token(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["generate", model, "one", "--seed", "3", "--max-tokens", "4", "--logprobs"]
    assert run(words) == 0
    made = hanmo.load(model).generations(["one"], seed=3, max_tokens=4, logprobs=True)[0]
    text, *lines = capsys.readouterr().out.removesuffix("\n").rsplit("\n", 4)
    assert text == made.text
    assert [float(line.split()[0]) for line in lines] == pytest.approx(made.logprobs, abs=6e-4)
    assert run([*words, "--top-logprobs", "2", "--num-return-sequences", "2"]) == 0
    shown = capsys.readouterr().out
    assert len([line for line in shown.splitlines() if len(line.split()) >= 4 and not line.startswith("---")]) == 8


def test_log_probabilities_of_the_prompt_come_before_those_of_the_text(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["generate", model, "one two", "--max-tokens", "0", "--prompt-logprobs", "--logprobs", "--top-logprobs", "2"]
    assert run([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["text"], told["finish_reason"], len(told["prompt_tokens"])) == ("", "length", len(told["prompt_logprobs"]) + 1)
    score = hanmo.load(model).score("one two")
    assert told["prompt_logprobs"] == pytest.approx(score.logprobs, abs=1e-4)
    assert run(words) == 0
    first, *lines = capsys.readouterr().out.strip("\n").splitlines()
    assert first.strip() == told["prompt_tokens"][0]
    assert [float(line.split()[0]) for line in lines] == pytest.approx(score.logprobs, abs=6e-4)


def test_a_prompt_that_spells_a_special_token_is_told_so(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["generate", model, "one <|endoftext|> two", "--seed", "3"]) == 0
    heard = capsys.readouterr()
    assert heard.err.startswith("the prompt spells <|endoftext|>: that is taken as text")
    assert run(["generate", model, "one endoftext", "--seed", "3"]) == 0
    assert capsys.readouterr().err == ""


def test_json_that_is_cut_is_told_and_closed_when_asked(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    schema = '{"type": "object", "properties": {"a": {"type": "string", "minLength": 4}}, "required": ["a"], "additionalProperties": false}'
    words = ["generate", model, "one", "--seed", "3", "--max-tokens", "3", "--json-schema", schema]
    assert run(words) == 0
    assert "cut before the json_schema was satisfied" in capsys.readouterr().err
    assert run([*words, "--close-json", "40", "--json"]) == 0
    heard = capsys.readouterr()
    closed = json.loads(heard.out)
    assert closed["finish_reason"] == "closed" and "cut before" not in heard.err
    assert len(json.loads(closed["text"])["a"]) >= 4


def test_help_shows_the_flags_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["generate", "--help"])
    shown = capsys.readouterr().out
    groups = ["length", "draw", "penalty", "form", "search", "report"]
    places = [shown.index(f"{name} options") for name in groups]
    assert places == sorted(places)
    assert places[0] < shown.index("--max-tokens") < places[1] < shown.index("--top-p") < places[2]


def test_flags_win_over_a_folder_that_is_greedy_or_searches(model: str) -> None:
    path = Path(model) / "generation_config.json"
    kept = path.read_text()
    try:
        path.write_text(json.dumps({"do_sample": False, "top_k": -1}))
        assert parse([model, "x"]).sampling.greedy
        assert not parse([model, "x", "--temperature", "1.0"]).sampling.greedy
        path.write_text(json.dumps({"num_beams": 4, "length_penalty": 2.0, "temperature": None}))
        assert parse([model, "x", "--seed", "1"]).sampling.num_beams == 4
        assert parse([model, "x", "--num-beams=1"]).sampling == SamplingOptions()
        assert parse([model, "x", "--greedy"]).sampling == SamplingOptions(greedy=True)
        assert parse([model, "x", "--regex", "a+"]).sampling == SamplingOptions(regex="a+")
    finally:
        path.write_text(kept)


def test_help_names_the_flags_and_leaves_torch_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        run(["generate", "--help"])
    assert leaving.value.code in (0, None)
    assert "--repetition-penalty" in capsys.readouterr().out
    import subprocess

    code = "import sys; from hanmo.cli import generate; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_prompt_that_is_no_unicode_is_wrong_use(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["generate", model, "one \udcff two"]) == 2
    assert capsys.readouterr().err == "hanmo generate: the prompt is not UTF-8 (character 4): convert it first\n"
