import pytest
from tests.model.families.conftest import CONFIGS

from hanmo.base.errors import ModelError
from hanmo.model import families
from hanmo.model.families.fields import Fields
from hanmo.model.families.windows import MOST_LAYERS, read_upper_windows, read_window, write_upper_windows

FULL, SLIDING = "full_attention", "sliding_attention"


def read(**values: object) -> tuple[int | None, tuple[str, ...]]:
    return read_upper_windows(Fields({"num_hidden_layers": 3, **values}, "qwen2"))


def test_layers_from_max_window_layers_on_slide_when_they_are_asked_to() -> None:
    assert read(use_sliding_window=True, sliding_window=8, max_window_layers=1) == (8, (FULL, SLIDING, SLIDING))
    assert read(use_sliding_window=True, sliding_window=8, max_window_layers=0) == (8, ())
    assert read(use_sliding_window=True, sliding_window=8, max_window_layers=28) == (None, ())
    assert read(use_sliding_window=False, sliding_window=8, max_window_layers=1) == (None, ())
    assert read(sliding_window=None, use_sliding_window=True, max_window_layers=1) == (None, ())


def test_a_list_of_layers_wins_over_the_rule() -> None:
    assert read(use_sliding_window=True, sliding_window=8, max_window_layers=28, layer_types=[SLIDING, FULL, FULL]) == (
        8,
        (SLIDING, FULL, FULL),
    )


def test_what_is_written_names_every_layer() -> None:
    assert write_upper_windows(CONFIGS["qwen2, upper layers slide"]) == {
        "use_sliding_window": True,
        "sliding_window": 6,
        "max_window_layers": 1,
        "layer_types": [FULL, SLIDING, SLIDING],
    }
    assert write_upper_windows(CONFIGS["qwen2"])["max_window_layers"] == 2


def test_an_absent_window_is_4096_and_null_is_none() -> None:
    assert read_window(Fields({}, "mistral")) == 4096
    assert read_window(Fields({"sliding_window": None}, "mistral")) is None
    assert read_window(Fields({"sliding_window": 7}, "mistral")) == 7


LIES: list[tuple[str, dict[str, object], str]] = [
    ("qwen3", {"layer_types": [FULL, SLIDING]}, "layer_types has sliding_attention, but there is no sliding_window"),
    ("qwen3", {"layer_types": [FULL]}, r"layer_types names 1 layers, num_hidden_layers \(=2\) says otherwise"),
    ("qwen2", {"layer_types": [FULL, "chunked_attention"]}, "layer_types .* should be a list of words known here: full_attention, sliding"),
    ("qwen2", {"layer_types": FULL}, "should be a list of words"),
    ("qwen2", {"num_hidden_layers": 10**6}, rf"num_hidden_layers \(=1000000\) should be between 1 and {MOST_LAYERS}"),
    ("mistral", {"layer_types": [FULL, FULL]}, "layer_types contradicts sliding_window"),
    ("mistral", {"sliding_window": None, "layer_types": [SLIDING, SLIDING]}, "layer_types contradicts sliding_window"),
    ("mistral", {"sliding_window": 0}, r"sliding_window \(=0\) should be at least 1"),
    ("mistral", {"sliding_window": "wide"}, r"sliding_window \(='wide'\)"),
    ("gemma3_text", {"sliding_window_pattern": 3}, r"layer_types and sliding_window_pattern \(=3\) disagree"),
    ("gemma3_text", {"sliding_window_pattern": 0}, r"sliding_window_pattern \(=0\) should be at least 1"),
    ("gemma3_text", {"sliding_window": None}, "there is no sliding_window"),
]


@pytest.mark.parametrize(("family", "lie", "message"), LIES)
def test_windows_that_contradict_themselves_are_refused(family: str, lie: dict[str, object], message: str) -> None:
    layout = families.layout_of(CONFIGS[family])
    with pytest.raises(ModelError, match=message) as caught:
        layout.from_hf({**layout.to_hf(CONFIGS[family]), **lie})
    assert "\n" not in str(caught.value)
