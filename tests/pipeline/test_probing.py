"""A process of its own measures what training would take here."""

import os
from typing import Any

import pytest

from hanmo.base.errors import HanmoError
from hanmo.base.runs import Run
from hanmo.model.config import DecoderConfig
from hanmo.pipeline.forecast import _step
from hanmo.pipeline.probing import measure_here, measure_machine
from hanmo.plan.memory import count_memory
from hanmo.train.config import TrainConfig


class Deadly(TrainConfig):
    """Settings whose arrival ends the process, as the system does when memory runs out."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (9,)


def test_probe_ended_by_the_system_is_told_in_one_line() -> None:
    with pytest.raises(HanmoError, match=r"the system ended the probe.*lower train.micro_batch_size \(=16\)"):
        measure_machine(DecoderConfig(vocab_size=9), Deadly(max_steps=50), 9)


def test_measuring_here_finds_what_training_would_choose(begun: Run) -> None:
    model = DecoderConfig(vocab_size=64, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=16)
    train = TrainConfig(max_steps=30, batch_size=2, context_length=16, precision="fp32", threads=1)
    found = measure_here(model, train, 0.01, begun)
    assert not found.low_precision and found.probe is not None and found.probe["steps"] >= 2
    assert min(found.matrix_flops_fp32, found.matrix_flops_bf16) > 1e7 and found.seconds_to_start > 0


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_planned_memory_is_real_where_weights_and_their_state_are_most_of_it(optimizer: str) -> None:
    """25 million parameters beside a row of 16 tokens: nothing hides behind activations or libraries."""
    model = DecoderConfig(vocab_size=2048, hidden_size=512, num_hidden_layers=8, num_attention_heads=8, max_position_embeddings=16)
    train = TrainConfig(max_steps=9, warmup_steps=1, batch_size=1, context_length=16, optimizer=optimizer, precision="fp32", threads=1)
    measured = measure_machine(model, train, 0.1)
    assert measured.probe is not None
    planned = count_memory(model, _step(train, low_precision=False, fused=measured.fused), process_bytes=measured.process_bytes)
    step = max(planned.moments[moment] for moment in ("loss", "collecting gradients", "update"))  # the probe saves nothing
    taken = measured.probe["peak_memory_bytes"] - measured.process_bytes
    assert step - measured.process_bytes == pytest.approx(taken, rel=0.15)
