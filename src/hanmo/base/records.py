"""The records that travel between rooms; all frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text with its origin.

    `id` is the SHA-256 of the text's origin and content (hex, shortened by the data room); `source` is a path or
    a catalogue name; `language` an ISO 639-1 code or "" when unknown; `license` an SPDX name or "".
    """

    id: str
    text: str
    source: str = ""
    language: str = ""
    license: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows of token ids with what should follow each.

    ids, targets: int64 [rows, context]; weights: float32 [rows, context], 0 where the target is padding;
    segments: int32 [rows, context], equal within one document and distinct between neighbours, or None when
    documents may see their neighbours. Where ids are written while another text is read: source: int64 [rows, source
    length], the other text; source_seen: bool of the same shape, False where it is padding.
    """

    ids: NDArray[np.int64]
    targets: NDArray[np.int64]
    weights: NDArray[np.float32]
    segments: NDArray[np.int32] | None = None
    source: NDArray[np.int64] | None = None
    source_seen: NDArray[np.bool_] | None = None
