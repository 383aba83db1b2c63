"""A decoder that gives vectors and no next token: it was saved without its output projection, as embedders are.

In: ids. Out: the last hidden states. The configuration says that embedding and output are one, which asks for no second matrix.
"""

from collections.abc import Collection, Mapping

from torch import Tensor

from hanmo.base.errors import ModelError
from hanmo.model.decoder import Decoder

HEAD = "lm_head.weight"


class Embedder(Decoder):
    """A decoder whose states are what it is for."""

    @property
    def output_weight(self) -> Tensor:
        """Nothing.

        Raises ModelError, as there is no such matrix.
        """
        raise ModelError(
            "this model is an embedder, saved without an output head: it gives vectors (embed), no next token and no score of a text"
        )


def lacks_head(values: Mapping[str, object], names: Collection[str], *, prefix: str, tied: bool, is_pooled: bool) -> bool:
    """Whether a folder holds a decoder for its states alone.

    values: config.json. names: of the tensors. prefix: what names of a bare model leave out. tied: whether the embedding would be the
    head. is_pooled: whether the folder says how states become a vector.
    """
    if HEAD in names:
        return False
    named = values.get("architectures")
    last = str(named[0]) if isinstance(named, list) and named else ""
    is_bare = (last.endswith("Model") and not last.endswith("LMHeadModel")) or not any(name.startswith(prefix) for name in names)
    return is_pooled and is_bare if tied else is_pooled or is_bare
