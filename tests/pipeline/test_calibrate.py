import torch

from hanmo.pipeline.calibrate import _ids
from hanmo.tokenizer.load import Tokenizer


def test_ids_of_a_text_are_its_documents_behind_their_ends_and_no_more_than_asked(begun, tmp_path):
    """The fit itself is tested in convert/test_quantize and in the walk of `hanmo export`."""
    tokenizer = Tokenizer.load(begun.tokenizer)
    (tmp_path / "note.txt").write_text("The lake froze.")
    ids = _ids(begun.tokenizer, str(tmp_path / "note.txt"), 1000)
    assert ids.tolist() == [tokenizer.eot_id, *tokenizer.encode("The lake froze.").tolist()]
    assert torch.equal(_ids(begun.tokenizer, str(tmp_path / "note.txt"), 3), ids[:3])
