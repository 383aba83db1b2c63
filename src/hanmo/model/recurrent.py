"""A recurrent language model: embedding, stacked LSTM or GRU, logits.

The baseline that a Transformer has to beat, behind the decoder's signatures. Its memory is one state of fixed size, so
it has no longest context. B rows, T positions, D width, L layers, V vocabulary, R runs of one segment in one row.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

from hanmo.base.errors import ModelError
from hanmo.model.config import RecurrentConfig
from hanmo.model.next_token import NextTokenNetwork

State = Tensor | tuple[Tensor, Tensor]
"""Hidden state [L, B, D] of a GRU; hidden state and cell of an LSTM."""


class StateCache:
    """The state after all tokens so far, in place of a decoder's keys and values.

    Rows of different lengths are padded on the left: `starts_B` is the first real place of each row.
    """

    def __init__(self, starts_B: Tensor | None = None) -> None:
        self.state: State | None = None
        self.starts_B = starts_B
        self.length = 0

    def keep(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order."""
        wanted = list(rows)
        if isinstance(self.state, tuple):
            self.state = (self.state[0][:, wanted], self.state[1][:, wanted])
        elif self.state is not None:
            self.state = self.state[:, wanted]


class Recurrent(NextTokenNetwork):
    """A causal language model that reads one token after another.

    LSTM (Hochreiter and Schmidhuber 1997, with forget gates that open at first, Jozefowicz et al. 2015):
    i, f, o = sigmoid(W x_t + U h_{t-1} + b); c_t = f c_{t-1} + i tanh(W_c x_t + U_c h_{t-1} + b_c); h_t = o tanh(c_t).
    GRU: Cho et al. 2014. Output tied to the embedding: Press and Wolf 2017.
    Raises ModelError when `config.vocab_size` is not set.
    """

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        if config.vocab_size < 1:
            raise ModelError(f"vocab_size (={config.vocab_size}) should be at least 1: it comes from the tokenizer")
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        kind = nn.LSTM if config.cell == "lstm" else nn.GRU
        between = config.hidden_dropout if config.num_hidden_layers > 1 else 0.0
        self.cells = kind(config.hidden_size, config.hidden_size, config.num_hidden_layers, batch_first=True, dropout=between)
        self.lm_head = None if config.tie_word_embeddings else nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.reset()

    @torch.no_grad()
    def reset(self) -> None:
        """Draw initial weights: embeddings normal with `initializer_range`, the cells uniform within 1/sqrt(D)."""
        nn.init.normal_(self.embed_tokens.weight, std=self.config.initializer_range)
        if self.lm_head is not None:
            nn.init.normal_(self.lm_head.weight, std=self.config.initializer_range)
        self.cells.reset_parameters()
        width = self.config.hidden_size
        for name, parameter in self.cells.named_parameters():
            if name.startswith("bias"):
                parameter.zero_()
            if name.startswith("bias_ih") and self.config.cell == "lstm":
                parameter[width : 2 * width] = 1.0

    @property
    def output_weight(self) -> Tensor:
        """The matrix [V, D] that turns the last hidden state into logits."""
        return self.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def forward(
        self, ids_BT: Int[Tensor, "B T"], segments_BT: Int[Tensor, "B T"] | None = None, cache: StateCache | None = None
    ) -> Float[Tensor, "B T V"]:
        """Logits of what follows each position."""
        return self.logits(self.hidden(ids_BT, segments_BT, cache))

    def hidden(
        self, ids_BT: Int[Tensor, "B T"], segments_BT: Int[Tensor, "B T"] | None = None, cache: StateCache | None = None
    ) -> Float[Tensor, "B T D"]:
        """The last layer's hidden state; `segments_BT` starts from an empty state in each new segment of a row.

        Raises ModelError for segments together with a cache that already holds a state.
        """
        x_BTD = self.embed_tokens(ids_BT)
        state = cache.state if cache is not None else None
        if cache is not None and state is None and cache.starts_B is not None and bool(cache.starts_B.any()):
            segments_BT = (torch.arange(ids_BT.size(1), device=ids_BT.device) >= cache.starts_B[:, None]).int()
        if segments_BT is None:
            x_BTD, state = self.cells(x_BTD, state)
        elif state is None:
            x_BTD, state = self._run_segments(x_BTD, segments_BT)
        else:
            raise ModelError("segments cannot go on from a cached state: give one or the other")
        if cache is not None:
            cache.state = state
            cache.length += ids_BT.size(1)
        return x_BTD

    def _run_segments(self, x_BTD: Tensor, segments_BT: Tensor) -> tuple[Tensor, State]:
        """Each run of equal segments as a sequence of its own; the state is that of a row's last run."""
        starts_BT = torch.ones_like(segments_BT, dtype=torch.bool)
        starts_BT[:, 1:] = segments_BT[:, 1:] != segments_BT[:, :-1]
        edges_R = F.pad(starts_BT.flatten().nonzero().flatten(), (0, 1), value=starts_BT.numel())
        runs = list(torch.split(x_BTD.flatten(0, 1), edges_R.diff().tolist()))
        packed, state = self.cells(pack_sequence(runs, enforce_sorted=False))
        last_B = starts_BT.sum(1).cumsum(0) - 1
        state = (state[0][:, last_B], state[1][:, last_B]) if isinstance(state, tuple) else state[:, last_B]
        return torch.cat(unpack_sequence(packed)).view_as(x_BTD), state
