import pytest

from hanmo.base.errors import ConfigError
from hanmo.batches.config import NETWORKS, ObjectiveConfig, network_kind


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"share": 0.0}, r"train.objective.share \(=0.0\)"),
        ({"share": 1.0}, "below 1"),
        ({"mean_span": 0.5}, "train.objective.mean_span"),
        ({"mean_span": float("nan")}, "train.objective.mean_span"),
        ({"rate": 1.5}, "train.objective.rate"),
        ({"suffix_first": -0.1}, "between 0 and 1"),
    ],
)
def test_values_that_cannot_be_are_named(values: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ObjectiveConfig(**values)  # pyright: ignore[reportArgumentType]


def test_the_network_follows_from_the_objective_or_is_refused() -> None:
    assert [network_kind(ObjectiveConfig(name=name), "auto") for name in NETWORKS] == [
        "decoder",
        "encoder",
        "encoder_decoder",
        "decoder",
        "decoder",
    ]
    assert network_kind(ObjectiveConfig(name="prefix"), "encoder_decoder") == "encoder_decoder"
    with pytest.raises(ConfigError, match=r"train.objective.name \(=masked\) cannot train network 'decoder', but encoder"):
        network_kind(ObjectiveConfig(name="masked"), "decoder")
