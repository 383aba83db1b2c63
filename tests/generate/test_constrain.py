import dataclasses
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.generate.conftest import tiny_decoder
from tests.tokenizer.conftest import SPACE, pairs, pieces
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers

from hanmo.base.errors import ConfigError, MissingExtraError, UsageError
from hanmo.convert.sources import local_model
from hanmo.data.catalogue import ENTRIES, find
from hanmo.generate.constrain import LONGEST_FORM, form_of
from hanmo.generate.engine import generate
from hanmo.generate.loaded import TextModel
from hanmo.generate.options import SamplingOptions
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import TokenizerConfig, train_tokenizer

pytest.importorskip("llguidance", reason="the extra 'constrain' is not installed")

TEXTS = ['{"name": "Mia", "age": 7, "tags": ["a", "b"]}', "山上有一只猫，猫在看月亮。", '"true", "false": null'] * 3
TOKENIZER: Tokenizer = train_tokenizer(TEXTS, TokenizerConfig(kind="bpe", vocab_size=300))
NETWORK = tiny_decoder(TOKENIZER.vocab_size, 64)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "kind": {"enum": ["cat", "dog", "猫"]},
        "tags": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3},
    },
    "required": ["name", "age", "kind", "tags"],
    "additionalProperties": False,
}
ASKED = SamplingOptions(max_tokens=200, json_schema=json.dumps(SCHEMA), seed=1)


def is_valid(text: str) -> bool:
    value = json.loads(text)
    return (
        set(value) == {"name", "age", "kind", "tags"}
        and len(value["name"]) <= 8
        and isinstance(value["age"], int)
        and 0 <= value["age"] <= 130
        and value["kind"] in ("cat", "dog", "猫")
        and len(value["tags"]) <= 3
        and all(isinstance(each, bool) for each in value["tags"])
    )


def test_two_hundred_of_two_hundred_samples_satisfy_the_schema() -> None:
    """Drawn in batches from a model that knows nothing; the schema bounds the length."""
    made = generate(NETWORK, TOKENIZER, ["the", "猫"], dataclasses.replace(ASKED, num_return_sequences=100))
    assert len(made) == 200
    assert {each.finish_reason for each in made} == {"eot"}
    assert all(is_valid(each.text) for each in made)
    assert len({each.text for each in made}) > 190


def test_a_form_holds_for_greedy_streams_caches_and_other_options() -> None:
    heard: dict[int, str] = {}
    for changes in ({"greedy": True}, {"repetition_penalty": 1.4, "no_repeat_ngram_size": 2}, {"top_k": 2}, {"bad_words": ("{", '"')}):
        options = dataclasses.replace(ASKED, **changes)  # pyright: ignore[reportArgumentType]
        heard.clear()
        made = generate(
            NETWORK, TOKENIZER, ["the", ""], options, on_text=lambda number, piece: heard.update({number: heard.get(number, "") + piece})
        )
        assert all(each.finish_reason == "eot" and is_valid(each.text) for each in made)
        assert [heard[0], heard[1]] == [each.text for each in made]
        assert [each.ids for each in generate(NETWORK, TOKENIZER, ["the", ""], options, cache=False)] == [each.ids for each in made]


def test_a_text_that_is_cut_is_a_beginning_and_says_so() -> None:
    whole = generate(NETWORK, TOKENIZER, ["the"], ASKED)[0]
    cut = generate(NETWORK, TOKENIZER, ["the"], dataclasses.replace(ASKED, max_tokens=5))[0]
    assert cut.finish_reason == "length"
    assert cut.ids == whole.ids[:5]
    exact = generate(NETWORK, TOKENIZER, ["the"], dataclasses.replace(ASKED, max_tokens=len(whole.ids)))[0]
    assert (exact.finish_reason, exact.text) == ("eot", whole.text)


def test_sequences_with_and_without_a_form_share_a_batch() -> None:
    free = SamplingOptions(max_tokens=20, seed=1, num_return_sequences=2)
    assert all(not each.text.startswith("{") for each in generate(NETWORK, TOKENIZER, ["the"], free))


NESTED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 3},
        "people": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "note": {"type": "string"}},
                "required": ["name", "age"],
                "additionalProperties": False,
            },
            "minItems": 2,
        },
        "share": {"type": "number"},
    },
    "required": ["title", "people", "share"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("budget", [1, 2, 5, 9, 14, 22, 37])
def test_wherever_max_tokens_cuts_json_it_is_closed_validly(budget: int) -> None:
    options = SamplingOptions(max_tokens=budget, close_json=120, json_schema=json.dumps(NESTED), seed=4, num_return_sequences=8)
    made = generate(NETWORK, TOKENIZER, ["the"], options)
    free = generate(NETWORK, TOKENIZER, ["the"], dataclasses.replace(options, close_json=0))
    for closed, cut in zip(made, free, strict=True):
        value = json.loads(closed.text)
        assert len(value["people"]) >= 2 and len(value["title"]) >= 3
        assert closed.ids[:budget] == cut.ids[:budget]
        assert closed.finish_reason == ("eot" if cut.finish_reason == "eot" else "closed")
    alone = generate(NETWORK, TOKENIZER, ["the"], dataclasses.replace(options, num_return_sequences=1), cache=False)
    assert alone[0].ids == made[0].ids


def test_json_that_cannot_be_closed_in_time_stays_cut(capsys: pytest.CaptureFixture[str]) -> None:
    options = SamplingOptions(max_tokens=4, close_json=2, json_schema=json.dumps(NESTED), seed=4)
    (made,) = generate(NETWORK, TOKENIZER, ["the"], options)
    assert (made.finish_reason, len(made.ids)) == ("length", 6)
    assert "raise max_tokens (=4) or close_json (=2)" in capsys.readouterr().err


def test_a_form_that_is_cut_is_told_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    generate(NETWORK, TOKENIZER, ["the"], dataclasses.replace(ASKED, max_tokens=5))
    said = capsys.readouterr().err
    assert said.startswith("the text was cut before the json_schema was satisfied (finish_reason length): raise max_tokens (=5)")
    generate(NETWORK, TOKENIZER, ["x"], SamplingOptions(regex="[ab]{30}", max_tokens=4, num_return_sequences=3))
    said = capsys.readouterr().err
    assert said.startswith("3 of 3 texts were cut before the regex was satisfied") and "close_json" not in said
    generate(NETWORK, TOKENIZER, ["the"], ASKED)
    generate(NETWORK, TOKENIZER, ["the"], SamplingOptions(max_tokens=4))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "schema",
    [True, {}, {"properties": {"a": True, "b": False}, "type": "object"}, {"type": "array", "prefixItems": [True], "items": False}],
)
def test_booleans_are_schemas(schema: object) -> None:
    options = SamplingOptions(max_tokens=6, close_json=80, json_schema=json.dumps(schema), seed=4, num_return_sequences=6)
    for each in generate(NETWORK, TOKENIZER, ["the"], options):
        value = json.loads(each.text)
        assert not (isinstance(schema, dict) and "properties" in schema) or "b" not in value
        assert not (isinstance(schema, dict) and "prefixItems" in schema) or len(value) <= 1


def test_an_unknown_format_only_tells_something(capsys: pytest.CaptureFixture[str]) -> None:
    schema = {
        "type": "object",
        "properties": {"day": {"type": "string", "format": "date"}, "tint": {"type": "string", "format": "tint", "maxLength": 5}},
        "required": ["day", "tint"],
        "additionalProperties": False,
    }
    options = SamplingOptions(max_tokens=90, json_schema=json.dumps(schema), seed=4, num_return_sequences=4)
    for each in generate(NETWORK, TOKENIZER, ["the"], options):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", json.loads(each.text)["day"])
    said = capsys.readouterr().err
    assert "format 'tint' is not one that is checked" in said and said.count("\n") == 1


@pytest.mark.parametrize("pattern", [r"[0-9]{4}-[0-9]{2}", r"(猫|狗){1,5}!", r"a|bc|def"])
def test_a_regular_expression_is_matched_as_a_whole(pattern: str) -> None:
    made = generate(NETWORK, TOKENIZER, ["x"], SamplingOptions(regex=pattern, seed=2, num_return_sequences=12, max_tokens=60))
    assert all(re.fullmatch(pattern, each.text) and each.finish_reason == "eot" for each in made)


def test_a_text_may_end_where_the_form_allows_and_go_on_where_it_may() -> None:
    ids = {each.finish_reason for each in generate(NETWORK, TOKENIZER, ["x"], SamplingOptions(regex="z+", seed=2, max_tokens=400))}
    assert ids == {"eot"}


def test_a_grammar_is_followed() -> None:
    sums = 'start: number ("+" number){1,3}\nnumber: /[1-9]/'
    made = generate(NETWORK, TOKENIZER, ["x"], SamplingOptions(grammar=sums, seed=2, num_return_sequences=12, max_tokens=60))
    assert all(re.fullmatch(r"[1-9](\+[1-9]){1,3}", each.text) for each in made)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"json_schema": "{"}, "json_schema is not JSON"),
        ({"json_schema": "3"}, "should be an object or true, not int"),
        ({"json_schema": "false"}, "satisfied by no text"),
        ({"json_schema": '{"type": "no such type"}'}, "json_schema is not one that can be followed"),
        ({"regex": "(a"}, "regex is not one that can be followed"),
        ({"grammar": "nothing"}, "grammar is not one that can be followed"),
        ({"regex": "a" * (LONGEST_FORM + 1)}, "shorten it"),
    ],
)
def test_a_form_that_cannot_be_followed_is_one_line(form: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        generate(NETWORK, TOKENIZER, ["x"], SamplingOptions(**form))  # pyright: ignore[reportArgumentType]
    assert "\n" not in str(caught.value)


def test_a_form_goes_on_in_a_copy_on_its_own() -> None:
    form = form_of(SamplingOptions(regex="ab|ac"), TOKENIZER, [TOKENIZER.eot_id])
    assert form is not None
    a, b, c = (int(TOKENIZER.encode(letter)[0]) for letter in "abc")
    one = form.start()
    one.take(a)
    other = one.copy()
    other.take(b)
    assert (one.is_complete, other.is_complete) == (False, True)
    allowed = one.allowed(TOKENIZER.vocab_size)
    assert allowed.nonzero().flatten().tolist() == sorted([b, c])


def test_without_the_extra_its_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'hanmo\[constrain\]'"):
        form_of(ASKED, TOKENIZER, [TOKENIZER.eot_id])
    assert form_of(SamplingOptions(), TOKENIZER, [TOKENIZER.eot_id]) is None


def test_a_tokenizer_that_writes_no_bytes_is_refused() -> None:
    pieces = train_tokenizer(["one two three"] * 3, TokenizerConfig(kind="wordpiece", vocab_size=60))
    with pytest.raises(UsageError, match="tokens' bytes, not wordpiece"):
        form_of(ASKED, pieces, [0])


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_pieces_of_sentencepiece_satisfy_a_schema_too(kind: str) -> None:
    """Their bytes are known: a blank for the mark that pieces begin with, one byte for what is named after it."""
    unigram = [(piece, -float(id)) for piece, id in pieces().items()]
    model = models.BPE(pieces(), pairs(), unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    if kind == "unigram":
        model = models.Unigram(unigram, unk_id=0, byte_fallback=True)
    backend = Backend(model)
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)  # pyright: ignore[reportAttributeAccessIssue]
    backend.decoder = decoders.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    backend.add_special_tokens(["<s>", "</s>"])
    tokenizer = Tokenizer(backend, {"bos_token": "<s>", "eos_token": "</s>"})
    network = tiny_decoder(tokenizer.vocab_size, 400)
    made = generate(network, tokenizer, ["the rain"], dataclasses.replace(ASKED, max_tokens=400, num_return_sequences=20), end_ids=[2])
    assert {each.finish_reason for each in made} == {"eot"} and all(is_valid(each.text) for each in made)
    assert len({each.text for each in made}) > 15
    words = generate(network, tokenizer, ["the"], SamplingOptions(regex="(is the rain|雨 下)", seed=2, num_return_sequences=8), end_ids=[2])
    assert {each.text for each in words} == {"is the rain", "雨 下"}


def test_rows_of_the_embedding_without_a_token_stay_forbidden() -> None:
    wide = tiny_decoder(TOKENIZER.vocab_size + 70, 64)
    (made,) = generate(wide, TOKENIZER, ["x"], ASKED)
    assert is_valid(made.text)
    assert torch.isfinite(torch.tensor(made.ids)).all()


SMOL = find(ENTRIES["smollm2-135m-instruct"])
NAME = {"type": "string", "minLength": 1, "maxLength": 24}
PLAIN_SCHEMAS: dict[str, dict[str, Any]] = {
    "nested objects": {
        "type": "object",
        "properties": {
            "person": {
                "type": "object",
                "properties": {
                    "name": NAME,
                    "address": {
                        "type": "object",
                        "properties": {"city": NAME, "zip": {"type": "integer", "minimum": 0, "maximum": 99999}},
                        "required": ["city", "zip"],
                        "additionalProperties": False,
                    },
                },
                "required": ["name", "address"],
                "additionalProperties": False,
            }
        },
        "required": ["person"],
        "additionalProperties": False,
    },
    "enums": {
        "type": "object",
        "properties": {"mood": {"enum": ["good", "bad", "neither", 3, None]}, "sure": {"type": "boolean"}},
        "required": ["mood", "sure"],
        "additionalProperties": False,
    },
    "arrays": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"word": NAME, "count": {"type": "integer", "minimum": 1, "maximum": 9}},
            "required": ["word", "count"],
            "additionalProperties": False,
        },
        "minItems": 1,
        "maxItems": 4,
    },
    "numbers with bounds": {
        "type": "object",
        "properties": {
            "age": {"type": "integer", "minimum": 0, "maximum": 130},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
            "celsius": {"type": "number", "minimum": -90, "maximum": 60},
        },
        "required": ["age", "share", "celsius"],
        "additionalProperties": False,
    },
    "Chinese": {
        "type": "object",
        "properties": {"城市": {"enum": ["北京", "上海", "成都"]}, "说明": {"type": "string", "maxLength": 20}},
        "required": ["城市", "说明"],
        "additionalProperties": False,
    },
    "optional fields": {
        "type": "object",
        "properties": {"title": NAME, "author": NAME, "year": {"type": "integer", "minimum": 1000, "maximum": 2100}},
        "required": ["title"],
        "additionalProperties": False,
    },
}


def satisfies(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is what a schema of the keywords above asks for (JSON Schema 2020-12, validation)."""
    if "enum" in schema:
        return any(type(value) is type(each) and value == each for each in schema["enum"])
    kind = schema["type"]
    if kind == "object":
        known, given = schema["properties"], isinstance(value, dict)
        return (
            given
            and set(schema.get("required", ())) <= set(value) <= set(known)
            and all(satisfies(value[key], known[key]) for key in value)
        )
    if kind == "array":
        fits = isinstance(value, list) and schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        return fits and all(satisfies(each, schema["items"]) for each in value)
    if kind == "string":
        return isinstance(value, str) and schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
    if kind == "boolean":
        return isinstance(value, bool)
    is_number = isinstance(value, int if kind == "integer" else int | float) and not isinstance(value, bool)
    return is_number and schema.get("minimum", value) <= value <= schema.get("maximum", value)


def test_the_check_of_schemas_tells_right_from_wrong() -> None:
    person = {"person": {"name": "Mia", "address": {"city": "北京", "zip": 7}}}
    right = [("nested objects", person), ("enums", {"mood": None, "sure": True}), ("arrays", [{"word": "a", "count": 9}])]
    wrong = [
        ("nested objects", {"person": {"name": "Mia"}}),
        ("enums", {"mood": "fine", "sure": True}),
        ("arrays", [{"word": "a", "count": 10}]),
        ("numbers with bounds", {"age": 1.5, "share": 0, "celsius": 0}),
        ("Chinese", {"城市": "北京", "说明": "长" * 21}),
        ("optional fields", {"title": "a", "colour": "red"}),
    ]
    assert all(satisfies(value, PLAIN_SCHEMAS[name]) for name, value in right)
    assert not any(satisfies(value, PLAIN_SCHEMAS[name]) for name, value in wrong)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(SMOL is None, reason="hanmo fetch smollm2-135m-instruct has not been run here")
def test_a_real_model_at_temperature_one_satisfies_every_schema_two_hundred_times() -> None:
    """A text cut by max_tokens would count as not valid: it has none here."""
    assert SMOL is not None
    model = TextModel(local_model(Path("smollm2-135m-instruct")), dtype="int4")
    wrong: list[tuple[str, str]] = []
    made = 0
    for number, (name, schema) in enumerate(PLAIN_SCHEMAS.items()):
        options = SamplingOptions(
            max_tokens=512, temperature=1, json_schema=json.dumps(schema), seed=number, num_return_sequences=34 if number < 2 else 33
        )
        for each in model.generations([f"An example of JSON ({name}):\n"], options):
            made += 1
            try:
                is_right = satisfies(json.loads(each.text), schema)
            except ValueError:
                is_right = False
            if not is_right:
                wrong.append((name, f"{each.finish_reason}: {each.text[-60:]!r}"))
    assert (made, wrong) == (200, [])


def test_a_text_that_the_budget_cuts_says_length_and_does_not_pass_for_whole() -> None:
    made = generate(NETWORK, TOKENIZER, ["the"], dataclasses.replace(ASKED, max_tokens=6))[0]
    assert made.finish_reason == "length"
    with pytest.raises(ValueError, match=r"."):
        json.loads(made.text)
