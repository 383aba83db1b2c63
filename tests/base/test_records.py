import dataclasses

import numpy as np
import pytest

from hanmo.base.records import Batch, Document


def test_document_says_nothing_it_was_not_told() -> None:
    document = Document(id="1", text="春天")
    assert (document.source, document.language, document.license, dict(document.metadata)) == ("", "", "", {})


def test_documents_share_no_metadata() -> None:
    assert Document(id="1", text="").metadata is not Document(id="2", text="").metadata


@pytest.mark.parametrize("name", ["text", "something_new"])
def test_records_do_not_change(name: str) -> None:
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
        setattr(Document(id="1", text="a"), name, "b")


def test_batch_without_segments_lets_neighbours_be_seen() -> None:
    ids = np.zeros((1, 2), np.int64)
    assert Batch(ids=ids, targets=ids, weights=np.ones((1, 2), np.float32)).segments is None
