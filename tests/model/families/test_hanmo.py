import pytest
from tests.model.families.conftest import MIXTURES

from hanmo.base.errors import ModelError
from hanmo.model.families.hanmo import LAYOUT


def test_our_own_config_says_that_no_other_tool_reads_it() -> None:
    assert "only hanmo reads it" in str(LAYOUT.to_hf(MIXTURES["sinusoidal"])["note"])


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        ({"hiden_size": 3}, "unknown key 'hiden_size'"),
        ({"norm": "batch"}, "norm"),
        ({"vocab_size": 0}, "vocab_size"),
        ({"hidden_size": 0}, "hidden_size"),
    ],
)
def test_our_own_config_is_read_strictly(lie: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        LAYOUT.from_hf({**LAYOUT.to_hf(MIXTURES["sinusoidal"]), **lie})
