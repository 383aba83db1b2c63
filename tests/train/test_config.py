import pytest

from hanmo.base.errors import ConfigError
from hanmo.train.config import TrainConfig


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"warmup_steps": 500, "max_steps": 200}, r"train.warmup_steps \(=500\) exceeds train.max_steps \(=200\): lower it or raise"),
        ({"batch_size": 0}, r"train.batch_size \(=0\)"),
        ({"learning_rate": -1.0}, r"train.learning_rate \(=-1.0\) should be at least 0 and finite"),
        ({"batch_size": 10, "micro_batch_size": 3}, r"train.batch_size \(=10\) is not a multiple of train.micro_batch_size \(=3\)"),
        ({"label_smoothing": 1.0}, r"train.label_smoothing \(=1.0\)"),
        ({"decay_share": 0.0}, r"train.decay_share \(=0.0\)"),
    ],
)
def test_values_that_cannot_be_are_named(values, words):
    with pytest.raises(ConfigError, match=words):
        TrainConfig(**values)


def test_a_run_without_an_end_is_refused():
    with pytest.raises(ConfigError, match="nothing ends this run"):
        TrainConfig().check_limits()
    TrainConfig(patience=3).check_limits()
