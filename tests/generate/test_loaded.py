import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from hanmo.base.errors import ConfigError, ModelError, UsageError
from hanmo.generate.loaded import TextModel
from hanmo.generate.options import SamplingOptions
from hanmo.model.config import DecoderConfig, RecurrentConfig
from hanmo.model.decoder import Decoder
from hanmo.model.recurrent import Recurrent
from hanmo.model.rounding import Bits
from hanmo.model.scoring import language_model
from hanmo.model.store import save_model
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import TokenizerConfig, train_tokenizer

TEXTS = ["the rain in the plain", "雨下在山上，山上有雨。"] * 4


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(TEXTS, TokenizerConfig(kind="bpe", vocab_size=280)).save(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    size, eot = Tokenizer.load(tokenizer).vocab_size, Tokenizer.load(tokenizer).eot_id
    config = DecoderConfig(
        vocab_size=size,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=32,
        initializer_range=0.3,
        bos_token_id=eot,
        eos_token_id=eot,
    )
    run = tmp_path_factory.mktemp("run")
    save_model(Decoder(config), run / "model", tokenizer_folder=tokenizer, generation={"temperature": 0.5, "max_new_tokens": 9})
    return run / "model"


def test_generate_gives_text_for_text_and_a_list_for_a_list(folder: Path) -> None:
    model = TextModel(folder)
    alone = [model.generate(prompt, seed=3, max_tokens=6) for prompt in ("the", "雨")]
    assert model.generate(["the", "雨"], seed=3, max_tokens=6) == alone
    assert len(model.generate(["the"], seed=3, num_return_sequences=3)) == 3
    with pytest.raises(UsageError, match="give a list of prompts"):
        model.generate("the", num_return_sequences=3)


def test_a_model_writes_as_many_ids_as_wanted_and_the_same_for_a_seed(folder: Path) -> None:
    model = TextModel(folder)
    ids = model.write(300, window=16, seed=1)
    assert ids.shape == (300,) and ids[0] == model.tokenizer.eot_id
    assert np.array_equal(ids, model.write(300, window=16, seed=1)) and not np.array_equal(ids, model.write(300, window=16, seed=2))
    pieces = np.split(ids, np.flatnonzero(ids == model.tokenizer.eot_id))
    assert len({tuple(piece) for piece in pieces}) > 10, "every piece is drawn anew"


def test_streamed_pieces_join_to_what_generate_gives(folder: Path) -> None:
    model = TextModel(folder)
    pieces = list(model.stream("山", seed=5, max_tokens=30))
    assert "".join(pieces) == model.generate("山", seed=5, max_tokens=30)
    assert len(pieces) > 1


def test_the_models_own_defaults_hold_until_they_are_changed(folder: Path) -> None:
    model = TextModel(folder)
    assert (model.defaults.temperature, model.defaults.max_tokens) == (0.5, 9)
    made = model.generations(["the"], seed=0)[0]
    assert len(made.ids) == 9 or made.finish_reason == "eot"
    with pytest.raises(ConfigError, match="did you mean 'max_tokens'"):
        model.generate("the", max_token=3)
    with pytest.raises(ConfigError, match="temperature"):
        model.generate("the", temperature=0.0)


def test_folders_that_are_no_model_are_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        TextModel(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="is no model"):
        TextModel(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"tokenizer.json is missing"):
        TextModel(copy)


def test_a_tokenizer_that_is_too_large_for_the_model_is_refused(tokenizer: Path, tmp_path: Path) -> None:
    save_model(Recurrent(RecurrentConfig(vocab_size=100, hidden_size=8)), tmp_path / "m", tokenizer_folder=tokenizer)
    with pytest.raises(ModelError, match="do not belong together"):
        TextModel(tmp_path / "m")


def test_a_token_without_a_row_is_refused_where_a_text_uses_it(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    form = json.loads((copy / "tokenizer.json").read_text())
    size = Tokenizer.load(copy).vocab_size
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    form["added_tokens"].append({"id": size, "content": "<image>", **flags})
    (copy / "tokenizer.json").write_text(json.dumps(form))
    model = TextModel(copy)
    options = SamplingOptions(max_tokens=3, seed=1)
    assert model.generate("the rain", options) == TextModel(folder).generate("the rain", options)
    for use in (lambda: model.generate("the <image>", options), lambda: model.embed(["the <image>"])):
        with pytest.raises(UsageError, match="uses the token '<image>'"):
            use()


def test_a_turn_ends_where_any_file_says_so(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    eot, config = Tokenizer.load(folder).eot_id, json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "eos_token_id": 65}))
    (copy / "generation_config.json").write_text(json.dumps({"eos_token_id": [70, 71]}))
    assert TextModel(copy).end_ids == [70, 71, 65, eot]


def test_every_end_token_of_the_folder_ends_a_text(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    path = copy / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": list(range(280)), "guidance_scale": 4}))
    made = TextModel(copy).generations(["the"])[0]
    assert (made.ids, made.finish_reason) == ([], "eot")
    assert "guidance_scale is not done here" in capsys.readouterr().err


def test_the_model_of_a_save_that_was_killed_between_two_renames_is_brought_back(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "run" / ".model.previous")
    assert TextModel(tmp_path / "run").generate("the", seed=1) == TextModel(folder).generate("the", seed=1)


def test_a_draft_changes_no_text_and_must_speak_the_same_tokens(folder: Path, tmp_path: Path) -> None:
    model = TextModel(folder)
    plain = model.generate("the rain", seed=2, max_tokens=20)
    assert model.generate("the rain", seed=2, max_tokens=20, speculate=3) == plain
    assert model.generate("the rain", seed=2, max_tokens=20, speculate=3, draft=TextModel(folder)) == plain
    with pytest.raises(UsageError, match="say how far with speculate"):
        model.generate("the", draft=model)
    train_tokenizer(["other words"] * 3, TokenizerConfig(kind="bpe", vocab_size=270)).save(tmp_path / "t")
    save_model(Recurrent(RecurrentConfig(vocab_size=270, hidden_size=8)), tmp_path / "m", tokenizer_folder=tmp_path / "t")
    with pytest.raises(UsageError, match="has another tokenizer than"):
        model.generate("the", draft=TextModel(tmp_path / "m"), speculate=2)


def test_a_gap_is_filled_by_models_that_know_how(folder: Path) -> None:
    with pytest.raises(UsageError, match="no tokens for filling a gap"):
        TextModel(folder).fill("the", "plain")


@pytest.mark.parametrize("dtype", ["int8", "int4", "bfloat16"])
def test_a_model_in_few_bits_says_the_same_alone_in_a_batch_and_with_guesses(dtype: Bits, tokenizer: Path, tmp_path: Path) -> None:
    config = DecoderConfig(
        vocab_size=300, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=48, initializer_range=0.2
    )
    torch.manual_seed(0)
    save_model(Decoder(config), tmp_path / "model", tokenizer_folder=tokenizer)
    model = TextModel(tmp_path / "model", dtype=dtype)
    prompts = ["the rain", "雨", "in the plain the", "山"]
    options = SamplingOptions(max_tokens=60, seed=3)
    together = model.generate(prompts, options)
    assert [model.generate(each, options) for each in prompts] == together
    assert [model.generate(each, options, speculate=3) for each in prompts] == together
    plain = TextModel(tmp_path / "model")
    bits = [-sum(language_model(each.network).score([np.arange(2, 40)])[0]) for each in (model, plain)]
    assert abs(bits[0] - bits[1]) < 0.02 * bits[1]
