"""Every family with an encoder against transformers' own class, through a folder and back."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from tests.model.families.conftest import BERT, ENCODER_DECODERS, ENCODERS, MARIAN, T5, VASWANI, lively

from hanmo.base.errors import ModelError
from hanmo.model.encoder import Encoder
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.families.encoders import encoder_decoder_layout, encoder_layout, layout_named
from hanmo.model.store import load_model, save_model
from hanmo.plan.parameters import count_parameters

ROWS, LENGTH = 3, 17
SEEN = torch.arange(LENGTH)[None] < torch.tensor([LENGTH, 9, 1])[:, None]


def ids(padding: int, length: int = LENGTH) -> torch.Tensor:
    """Rows of three lengths, filled up with padding."""
    drawn = torch.randint(4, 60, (ROWS, length))
    return torch.where(SEEN[:, :length], drawn, padding)


def theirs(folder: Path) -> torch.nn.Module:
    name = json.loads((folder / "config.json").read_text())["architectures"][0]
    return getattr(transformers, name).from_pretrained(folder, attn_implementation="eager").eval()


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_saved_here_gives_transformers_its_states_logits_and_gradients(tmp_path: Path, name: str) -> None:
    config = ENCODERS[name]
    network = lively(config)
    assert isinstance(network, Encoder)
    save_model(network, tmp_path / "m")
    reference = theirs(tmp_path / "m")
    given, types = ids(config.pad_token_id or 0), torch.arange(LENGTH)[None].expand(ROWS, -1) % config.type_vocab_size
    answer = reference(given, attention_mask=SEEN.long(), token_type_ids=types, output_hidden_states=True)
    ours = network(given, (~SEEN).long(), types)
    assert (ours - answer.logits)[SEEN].abs().max() <= 1e-4
    assert (network.hidden(given, (~SEEN).long(), types) - answer.hidden_states[-1])[SEEN].abs().max() <= 1e-4
    assert (network.embed(given, (~SEEN).long(), types) - answer.hidden_states[0])[SEEN].abs().max() <= 1e-4
    ours[SEEN].square().sum().backward()
    answer.logits[SEEN].square().sum().backward()
    layout = encoder_layout(config)
    gradients = {each: parameter.grad for each, parameter in network.named_parameters() if parameter.grad is not None}
    of_theirs = dict(reference.named_parameters())
    checked = 0
    for entry in layout.entries(config):
        for theirs_name, part in zip(
            entry.theirs, gradients[entry.ours].split(entry.rows) if entry.ours in gradients else (), strict=False
        ):
            if theirs_name in of_theirs:
                expected = of_theirs[theirs_name].grad
                assert expected is not None
                assert (part - expected).abs().max() <= 1e-4 * max(1.0, float(expected.abs().max()))
                checked += 1
    assert checked >= 30


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_an_encoder_decoder_saved_here_gives_transformers_its_logits_and_gradients(tmp_path: Path, name: str) -> None:
    config = ENCODER_DECODERS[name]
    network = lively(config)
    assert isinstance(network, EncoderDecoder)
    save_model(network, tmp_path / "m")
    reference = theirs(tmp_path / "m")
    source, target = ids(config.pad_token_id or 0), torch.randint(4, 60, (ROWS, 8))
    answer = reference(source, attention_mask=SEEN.long(), decoder_input_ids=target)
    ours = network(source, target, SEEN)
    assert (ours - answer.logits).abs().max() <= 1e-4
    assert (network.read(source, SEEN) - answer.encoder_last_hidden_state)[SEEN].abs().max() <= 1e-4
    ours.square().sum().backward()
    answer.logits.square().sum().backward()
    of_theirs = dict(reference.named_parameters())
    gradients = {each: parameter.grad for each, parameter in network.named_parameters()}
    checked = 0
    for entry in encoder_decoder_layout(config).entries(config):
        gradient = gradients.get(entry.ours)
        for theirs_name, part in zip(entry.theirs, () if gradient is None else gradient.split(entry.rows), strict=False):
            expected = of_theirs[theirs_name].grad
            assert expected is not None
            assert (part - expected).abs().max() <= 1e-4 * max(1.0, float(expected.abs().max())), theirs_name
            checked += 1
    assert checked >= 60


@pytest.mark.parametrize("name", [*ENCODERS, *ENCODER_DECODERS])
def test_what_transformers_saves_loads_here_with_equal_numbers(tmp_path: Path, name: str) -> None:
    config: EncoderConfig | EncoderDecoderConfig = {**ENCODERS, **ENCODER_DECODERS}[name]
    network = lively(config)
    save_model(network, tmp_path / "m")
    theirs(tmp_path / "m").save_pretrained(tmp_path / "theirs")
    loaded = load_model(tmp_path / "theirs")
    given = ids(config.pad_token_id or 0)
    with torch.no_grad():
        if isinstance(network, Encoder):
            assert isinstance(loaded, Encoder)
            assert (loaded(given) - network(given)).abs().max() <= 1e-5
        else:
            assert isinstance(loaded, EncoderDecoder)
            assert isinstance(network, EncoderDecoder)
            assert (loaded(given, given[:, :5]) - network(given, given[:, :5])).abs().max() <= 1e-5


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_a_base_model_without_head_or_prefix_loads_with_its_pooler(tmp_path: Path, name: str) -> None:
    reference = {"bert": transformers.BertModel, "roberta": transformers.RobertaModel}[name](
        {"bert": transformers.BertConfig, "roberta": transformers.RobertaConfig}[name](
            **encoder_layout(ENCODERS[name]).write(ENCODERS[name])  # pyright: ignore[reportArgumentType]
        )
    ).eval()
    reference.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert isinstance(loaded, Encoder)
    assert (loaded.head, loaded.config.pooler) == (None, True)
    given = torch.randint(4, 60, (2, 9))
    with torch.no_grad():
        states = loaded.hidden(given)
        answer = reference(given)
        assert (states - answer.last_hidden_state).abs().max() <= 1e-4
        assert (loaded.summary(states) - answer.pooler_output).abs().max() <= 1e-4
    with pytest.raises(ModelError, match="no head"):
        loaded(given)


@pytest.mark.parametrize("config", [*ENCODERS.values(), *ENCODER_DECODERS.values(), VASWANI])
def test_writing_and_reading_a_configuration_gives_it_back(config: EncoderConfig | EncoderDecoderConfig) -> None:
    if isinstance(config, EncoderConfig):
        layout = encoder_layout(config)
        values, names = layout.to_hf(config), [name for entry in layout.entries(config) for name in entry.theirs]
        assert layout.from_hf(values, names) == config
        assert layout.unused(values, names) == []
    else:
        written = encoder_decoder_layout(config)
        values, names = written.to_hf(config), [name for entry in written.entries(config) for name in entry.theirs]
        back = written.from_hf(values, names)
        resolved = {"head_dim": config.head_width, "decoder_start_token_id": config.start_token_id}
        assert {**vars(back), **resolved} == {**vars(config), **resolved}
        assert written.unused(values, names) == []


@pytest.mark.parametrize("config", [*ENCODERS.values(), *ENCODER_DECODERS.values(), VASWANI])
def test_planned_parameters_are_real(config: EncoderConfig | EncoderDecoderConfig) -> None:
    assert count_parameters(config).total == sum(parameter.numel() for parameter in lively(config).parameters())


def test_a_mixture_that_nobody_knows_has_our_own_layout_and_comes_back(tmp_path: Path) -> None:
    network = lively(VASWANI)
    save_model(network, tmp_path / "m")
    assert json.loads((tmp_path / "m" / "config.json").read_text())["model_type"] == "hanmo_encoder_decoder"
    loaded = load_model(tmp_path / "m")
    assert isinstance(loaded, EncoderDecoder)
    assert loaded.config == VASWANI


def test_layouts_are_found_by_the_word_of_their_family() -> None:
    assert encoder_layout(BERT).model_type == "bert"
    assert encoder_decoder_layout(MARIAN).model_type == "marian"
    assert encoder_decoder_layout(T5).model_type == "t5"
    assert layout_named({"model_type": "llama"}) is None
