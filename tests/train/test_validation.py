import math

import numpy as np
import pytest
import torch

from hanmo.base.records import Document
from hanmo.batches.store import TokenStore
from hanmo.batches.stream import BatchConfig
from hanmo.model.config import DecoderConfig
from hanmo.train.networks import make_network
from hanmo.train.validation import validation


def test_every_token_is_scored_once_and_bits_follow_from_nats(tmp_path):
    documents = [Document(id=str(n), text="abc" * (n + 1)) for n in range(5)]
    encode = lambda texts: [np.frombuffer(text.encode(), np.uint8).astype(np.int32) for text in texts]  # noqa: E731
    store = TokenStore.build(tmp_path / "store", documents, encode, 0, 128)
    network = make_network(DecoderConfig(vocab_size=128, hidden_size=16, num_hidden_layers=1, num_attention_heads=2), 1)
    with torch.no_grad():
        numbers = [validation(store, BatchConfig(batch_size=rows, context_length=8))(network) for rows in (2, 3)]
    for found in numbers:
        assert found["validation_loss"] == pytest.approx(math.log(128), rel=0.1)  # a network that has learned nothing
        bits = found["validation_loss"] / math.log(2) * store.num_tokens / store.num_bytes
        assert found["validation_bits_per_byte"] == pytest.approx(bits)
    assert numbers[0]["validation_loss"] == pytest.approx(numbers[1]["validation_loss"], rel=1e-5)
