import pytest

from hanmo.base.errors import ConfigError
from hanmo.base.runs import Run
from hanmo.pipeline.tokens import check_parents, token_stores
from hanmo.tokenizer.load import Tokenizer


def test_a_run_remembers_what_it_was_begun_with(begun, tmp_path):
    tokenizer, folder = Tokenizer.load(begun.tokenizer), Run(tmp_path)
    stores = token_stores(begun.data, tokenizer, folder.tokens)
    assert set(stores) == {"train", "validation"}
    check_parents(folder, stores, tokenizer)
    folder.config.write_text("")
    check_parents(folder, stores, tokenizer)
    with pytest.raises(ConfigError, match="a run with another train documents"):
        check_parents(folder, {**stores, "train": stores["validation"]}, tokenizer)
