"""The walk is in stages/test_evaluate; here, what the pieces give."""

import numpy as np
import pytest
import torch

from hanmo.base.records import Batch, Document
from hanmo.batches.store import TokenStore
from hanmo.batches.stream import BatchConfig, BatchStream
from hanmo.model.encoder import Encoder
from hanmo.model.encoder_config import EncoderConfig
from hanmo.pipeline.objective import COUNTED_STEPS, asked_counts, network_score, once


def test_log_probabilities_are_those_of_the_networks_logits():
    torch.manual_seed(0)
    network = Encoder(EncoderConfig(vocab_size=11, hidden_size=16, num_hidden_layers=1, num_attention_heads=2))
    ids = np.arange(8).reshape(2, 4)
    batch = Batch(ids=ids, targets=ids[:, ::-1].copy(), weights=np.ones((2, 4), np.float32))
    log_probs, right = network_score(network)(batch)
    logits = network(torch.from_numpy(ids)).log_softmax(-1)
    wanted = logits.gather(-1, torch.from_numpy(batch.targets)[..., None])[..., 0]
    np.testing.assert_allclose(log_probs, wanted.detach().numpy(), atol=1e-5)
    assert np.array_equal(right, (logits.argmax(-1).numpy() == batch.targets).astype(float))


def test_what_is_asked_for_is_counted_over_training_batches(tmp_path):
    documents = [Document(id="a", text="abcd" * 20)]
    encode = lambda texts: [np.frombuffer(text.encode(), np.uint8).astype(np.int32) for text in texts]  # noqa: E731
    store = TokenStore.build(tmp_path / "store", documents, encode, 0, 128)
    config = BatchConfig(batch_size=2, context_length=8)
    counts = asked_counts(BatchStream(store, config), 128)
    assert counts.sum() == pytest.approx(COUNTED_STEPS * 16, rel=0.2) and counts[ord("a")] > 0
    assert (once(config).shuffle, once(config).repeat) == (False, False)
