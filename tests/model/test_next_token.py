import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hanmo.model.next_token import NextTokenNetwork


class Bigrams(NextTokenNetwork):
    """The smallest network there is: what follows a token depends on that token."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(7, 5), nn.Linear(5, 7, bias=False)

    @property
    def output_weight(self) -> Tensor:
        return self.head.weight

    def hidden(self, ids_BT: Tensor, segments_BT: Tensor | None = None) -> Tensor:
        return self.embed(ids_BT)


def test_loss_is_the_weighted_sum_of_what_the_logits_say() -> None:
    torch.manual_seed(0)
    network = Bigrams()
    ids, targets, weights = torch.randint(0, 7, (2, 6)), torch.randint(0, 7, (2, 6)), torch.rand(2, 6)
    logits = network.logits(network.hidden(ids))
    assert torch.equal(logits, network.embed(ids) @ network.head.weight.T)
    loss, total = network.loss(ids, targets, weights)
    each = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    assert torch.allclose(loss, (each * weights.flatten()).sum()) and torch.allclose(total, weights.sum())
    smooth, _ = network.loss(ids, targets, weights, label_smoothing=0.1)
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none", label_smoothing=0.1)
    assert torch.allclose(smooth, (expected * weights.flatten()).sum())
