"""What a text asks for: more readings, more dropout; more tokens and minutes, a larger network; what is named stays."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.model.config import DecoderConfig
from hanmo.plan.compute import count_compute
from hanmo.plan.defaults import (
    FITTABLE,
    GOES_WITH_SIZE,
    SIZE,
    Fitted,
    TextFacts,
    Training,
    effective_tokens,
    fit,
    most_epochs,
    unnamed,
    worth_of_reading,
)

MODEL = DecoderConfig(vocab_size=8192)
TRAINING = Training(batch_size=16, context_length=256, optimizer="muon", warmup_steps=20)


def fitted(tokens: int, minutes: float = 0.0, free: tuple[str, ...] = FITTABLE, model: DecoderConfig = MODEL, **training) -> Fitted:
    settings = Training(**{**vars_of(TRAINING), **training})
    return fit(free, model, settings, TextFacts(train_tokens=tokens, minutes=minutes, cores=2))


def vars_of(training: Training) -> dict[str, object]:
    return {name: getattr(training, name) for name in ("batch_size", "context_length", "optimizer", "warmup_steps", "max_steps")}


def test_a_novel_is_read_as_often_as_pays_and_partly_hidden() -> None:
    found = fitted(385_000, minutes=10)
    assert found.values["model.hidden_dropout"] == 0.2 and found.values["train.weight_decay"] == 0.1
    assert found.epochs <= most_epochs() + 0.1
    assert found.values["train.max_steps"] == pytest.approx(most_epochs() * 385_000 / 4096, abs=1)
    assert found.values["train.patience"] > 0
    assert any("learnt by heart" in reason for reason in found.reasons)


def test_a_large_text_is_read_once_with_nothing_hidden() -> None:
    found = fitted(20_000_000)
    assert found.epochs < 1 and found.values["model.hidden_dropout"] == 0.0 and found.values["train.weight_decay"] == 0.01


def test_more_minutes_and_more_text_give_a_larger_network_and_never_a_smaller_one() -> None:
    widths = [[int(fitted(tokens, minutes).values[SIZE[0]]) for minutes in (1, 10, 100, 1000)] for tokens in (10**5, 10**6, 10**8)]
    assert all(row == sorted(row) for row in widths) and all(list(column) == sorted(column) for column in zip(*widths, strict=True))
    assert widths[0][0] < widths[2][3]


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 10**9), st.floats(0.01, 10_000), st.sampled_from([300, 8192, 150_000]))
def test_every_text_gets_a_network_that_exists_and_a_run_that_ends(tokens: int, minutes: float, vocab_size: int) -> None:
    found = fitted(tokens, minutes, model=DecoderConfig(vocab_size=vocab_size))
    width, layers, heads = (int(found.values[key]) for key in SIZE)
    DecoderConfig(vocab_size=vocab_size, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads)
    assert int(found.values["train.max_steps"]) >= 2 * TRAINING.warmup_steps
    assert 10 <= int(found.values["train.eval_every"]) <= 100


def test_without_minutes_the_steps_cost_what_ten_minutes_allow() -> None:
    found = fitted(20_000_000)
    width, layers, heads = (int(found.values[key]) for key in SIZE)
    model = DecoderConfig(vocab_size=8192, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, qk_norm=True)
    compute = count_compute(model, context_length=256, batch_size=16, optimizer="muon")
    assert compute.per_run(int(found.values["train.max_steps"])) == pytest.approx(TextFacts(train_tokens=1).flops, rel=0.01)


@pytest.mark.parametrize("named", FITTABLE)
def test_what_is_named_is_never_changed(named: str) -> None:
    found = fitted(385_000, free=unnamed({named}))
    assert named not in found.values
    if named in (*SIZE, *GOES_WITH_SIZE):
        assert not set(found.values) & {*SIZE, *GOES_WITH_SIZE}


def test_named_steps_decide_how_often_the_text_is_read_and_leave_patience_off() -> None:
    free = unnamed({"train.max_steps"})
    short, long = fitted(385_000, free=free, max_steps=90), fitted(385_000, free=free, max_steps=900)
    assert (short.values["model.hidden_dropout"], long.values["model.hidden_dropout"]) == (0.0, 0.2)
    assert long.steps == 900 and "train.patience" not in long.values


def test_only_muons_companion_gets_another_learning_rate() -> None:
    assert fitted(10**6).values["train.learning_rate"] == 3e-3
    assert "train.learning_rate" not in fitted(10**6, optimizer="adamw").values


@given(st.floats(0.1, 1000), st.floats(0.1, 1000))
def test_a_repeated_token_is_worth_less_than_a_new_one_and_more_than_nothing(epochs: float, more: float) -> None:
    gained = effective_tokens(1.0, epochs + more) - effective_tokens(1.0, epochs)
    assert -1e-9 <= gained <= more * (1 + 1e-9)
    assert 0 <= worth_of_reading(epochs + more) <= worth_of_reading(epochs) <= 1


def test_four_readings_are_nearly_as_good_as_new_text() -> None:
    assert effective_tokens(100, 4) == pytest.approx(373, abs=1)
    assert worth_of_reading(most_epochs()) == pytest.approx(0.5)
