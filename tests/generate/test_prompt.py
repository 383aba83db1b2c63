import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tests.generate.conftest import fifty_prompts, tiny_pair
from tests.generate.test_engine import TOKENIZER, V

import hanmo
from hanmo.base.errors import ModelError
from hanmo.generate.engine import generate
from hanmo.generate.fill import Gap
from hanmo.generate.options import SamplingOptions
from hanmo.generate.prompt import Opening, opening, spelled
from hanmo.model.config import NgramConfig
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.ngram import Ngram
from hanmo.model.store import save_model
from hanmo.tokenizer.chat import Chat
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import TokenizerConfig, train_tokenizer

EOT = TOKENIZER.eot_id
ENDS = [EOT, *range(100, 115)]
COUNTING = Ngram.fit_sequences([np.array([EOT, 70])], NgramConfig(vocab_size=V, order=1))
FRAMES: dict[str, dict[str, Any]] = {
    "t5": {
        "type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}],
        "pair": [],
        "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}},
    },
    "marian": {},
}
PROMPTS = fifty_prompts()
OPTIONS: list[dict[str, Any]] = [
    {},
    {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2, "min_new_tokens": 5},
    {"min_length": 6, "forced_bos_token_id": 71, "forced_eos_token_id": 72},
    {"num_beams": 3},
    {"num_beams": 4, "length_penalty": 2.0, "early_stopping": True, "num_return_sequences": 2},
    {"num_beams": 4, "length_penalty": 0.6, "early_stopping": "never", "no_repeat_ngram_size": 2, "repetition_penalty": 1.2},
    {"num_beams": 2, "length_penalty": -1.0, "forced_bos_token_id": 71, "forced_eos_token_id": 72, "renormalize_logits": True},
]


def framed(kind: str) -> Tokenizer:
    form = TOKENIZER.form
    form["post_processor"] = FRAMES[kind] or None
    import tokenizers

    return Tokenizer(tokenizers.Tokenizer.from_str(json.dumps(form)), TOKENIZER.settings)


def test_a_frame_of_ids_that_are_no_tokens_is_refused() -> None:
    import tokenizers
    from tokenizers.processors import TemplateProcessing

    backend = tokenizers.Tokenizer.from_str(json.dumps(TOKENIZER.form))
    backend.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", V + 9)])  # pyright: ignore[reportAttributeAccessIssue]
    settings = {key: value for key, value in TOKENIZER.settings.items() if key != "hanmo_kind"}
    with pytest.raises(ModelError, match=f"adds the id {V + 9} to a text"):
        opening(COUNTING, Tokenizer(backend, settings), "the cat")


def test_a_text_is_opened_a_conversation_is_as_its_template_writes_it() -> None:
    assert opening(COUNTING, TOKENIZER, "the") == Opening("the", [EOT, *TOKENIZER.encode("the").tolist()])
    talk = Chat(TOKENIZER, "{% for m in messages %}{{ m.content }}<|endoftext|>{% endfor %}").encode([{"role": "user", "content": "a cat"}])
    assert opening(COUNTING, TOKENIZER, talk) == Opening("a cat<|endoftext|>", [*TOKENIZER.encode("a cat").tolist(), EOT])


def test_an_encoder_reads_the_text_in_the_frame_its_tokenizer_asks_for_and_the_decoder_begins_with_its_start() -> None:
    network, ids = tiny_pair(V, "t5"), TOKENIZER.encode("the cat").tolist()
    assert opening(network, framed("t5"), "the cat") == Opening("the cat", [V - 1], [*ids, 0])
    assert opening(network, TOKENIZER, "the cat") == Opening("the cat", [V - 1], ids)
    assert opening(network, TOKENIZER, "").source == [V - 1]


def test_a_gap_is_a_span_for_an_encoder_decoder_which_writes_behind_the_first_sentinel_until_the_second() -> None:
    tokenizer = train_tokenizer(["the cat sat"] * 3, TokenizerConfig(kind="bpe", vocab_size=400, objectives=("span_corruption",)))
    first, second = (tokenizer.names().index(f"<extra_id_{number}>") for number in (0, 1))
    network = tiny_pair(tokenizer.vocab_size, "t5")
    begun = opening(network, tokenizer, Gap("the ", " sat"))
    assert (begun.ids, begun.end_ids) == ([network.config.start_token_id, first], (second,))
    with torch.no_grad():
        network.embed_tokens.weight[second] += (
            8 * network.decode(torch.tensor([begun.ids]), network.remember(torch.tensor([begun.source])))[0, -1]
        )
    (made,) = generate(network, tokenizer, [Gap("the ", " sat")], SamplingOptions(greedy=True, max_tokens=4))
    assert (made.finish_reason, made.ids) == ("eot", [])


def theirs_of(network: EncoderDecoder, tokenizer: Tokenizer, folder: Path) -> Any:
    tokenizer.save(folder / "tokenizer")
    save_model(network, folder / "model", tokenizer_folder=folder / "tokenizer")
    return transformers.AutoModelForSeq2SeqLM.from_pretrained(folder / "model")


@torch.no_grad()
def their_answers_to(theirs: Any, sources: list[list[int]], **options: Any) -> list[list[int]]:
    longest = max(map(len, sources))
    ids = torch.tensor([source + [V - 1] * (longest - len(source)) for source in sources])
    seen = torch.tensor([[1] * len(source) + [0] * (longest - len(source)) for source in sources])
    made = theirs.generate(input_ids=ids, attention_mask=seen, do_sample=False, max_new_tokens=12, eos_token_id=ENDS, **options)
    answers = [row[1:].tolist() for row in made]
    return [row[: next((place for place, id in enumerate(row) if id in ENDS), len(row))] for row in answers]


@pytest.mark.parametrize("kind", FRAMES)
def test_greedy_and_beams_write_what_transformers_writes_on_fifty_texts(kind: str, tmp_path: Path) -> None:
    network, tokenizer = tiny_pair(V, kind), framed(kind)
    theirs = theirs_of(network, tokenizer, tmp_path)
    assert theirs.config.model_type == kind
    lengths, opened = set(), [opening(network, tokenizer, prompt) for prompt in PROMPTS]
    for changes in OPTIONS:
        ours = {{"min_new_tokens": "min_tokens"}.get(key, key): value for key, value in changes.items()}
        made = generate(network, tokenizer, PROMPTS, SamplingOptions(max_tokens=12, greedy=True, **ours), end_ids=ENDS)
        assert [each.ids for each in made] == their_answers_to(theirs, [each.source or [] for each in opened], **changes), changes
        lengths |= {len(each.ids) for each in made}
    assert len(lengths) > 3


@pytest.mark.parametrize("kind", FRAMES)
def test_a_folder_writes_by_its_own_settings_as_transformers_does(kind: str, tmp_path: Path) -> None:
    network, tokenizer = tiny_pair(V, kind), framed(kind)
    settings = {"num_beams": 3, "max_length": 9, "forced_eos_token_id": EOT, "bad_words_ids": [[V - 1], [75]], "renormalize_logits": True}
    tokenizer.save(tmp_path / "tokenizer")
    save_model(network, tmp_path / "model", tokenizer_folder=tmp_path / "tokenizer", generation=settings)
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "model")
    model = hanmo.load(tmp_path / "model")
    for prompt in PROMPTS[:8]:
        ids = opening(model.network, model.tokenizer, prompt).source
        (row,) = theirs.generate(input_ids=torch.tensor([ids]))
        end = next((place for place, id in enumerate(row.tolist()) if place and id == EOT), len(row))
        assert model.generations([prompt])[0].ids == row[1:end].tolist()
        assert model.generate(prompt) == tokenizer.decode(row[1:end].tolist())


def test_special_tokens_that_a_text_spells_are_named_once() -> None:
    assert spelled(TOKENIZER, f"a {TOKENIZER.names()[TOKENIZER.eot_id]} b") == [TOKENIZER.names()[TOKENIZER.eot_id]]
    assert spelled(TOKENIZER, "nothing of the kind") == []
