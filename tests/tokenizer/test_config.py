import subprocess
import sys

import pytest

from hanmo.base.config import build, to_table
from hanmo.base.errors import ConfigError
from hanmo.tokenizer.config import TokenizerConfig


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("vocab_size", {"vocab_size": 256}),
        ("vocab_size", {"kind": "unigram", "vocab_size": 399}),
        ("vocab_size", {"kind": "wordpiece", "vocab_size": 7}),
        ("max_sample_bytes", {"max_sample_bytes": -1}),
        ("vocab_size", {"kind": "word", "vocab_size": 2}),
        ("digits_per_token", {"digits_per_token": 0}),
    ],
)
def test_impossible_settings_are_named(key, values):
    with pytest.raises(ConfigError, match=rf"tokenizer\.{key}"):
        TokenizerConfig(**values)


def test_settings_come_back_from_a_recipe():
    config = TokenizerConfig(kind="word", vocab_size=77, min_frequency=3)
    assert build(TokenizerConfig, to_table(config)) == config


def test_reading_settings_loads_no_library():
    program = "import sys, hanmo.tokenizer.config; print({'tokenizers', 'numpy', 'rjieba'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "set()"


def test_objectives_bring_their_special_tokens_once_each() -> None:
    config = TokenizerConfig(vocab_size=500, objectives=("masked", "fill_in_the_middle", "masked"))
    assert config.marks == ("<mask>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
    assert TokenizerConfig(kind="wordpiece", objectives=("masked",)).marks == ()
    with pytest.raises(ConfigError, match=r"vocab_size \(=300\) should be at least 357"):
        TokenizerConfig(vocab_size=300, objectives=("span_corruption",))
