import pytest
import torch

from hanmo.model.rounding import BLOCK, round_int4, round_int4_by_importance, round_int4_with_least, round_weights, rounded


def test_rounding_block_by_block_is_rounding_the_whole_also_when_only_some_rows_have_even_steps() -> None:
    torch.manual_seed(4)
    uneven = torch.randn(2 * BLOCK + 5, 64)
    even = round_int4_with_least(uneven).weight_NK
    mixed = torch.cat([even[:BLOCK], uneven[BLOCK:]])
    for weight, expected in ((uneven, round_int4(uneven)), (even, round_int4_with_least(even)), (mixed, round_int4(mixed))):
        found = round_weights(weight, "int4")
        assert torch.equal(found.weight_NK, expected.weight_NK)
        assert (found.least_NG is None) == (expected.least_NG is None)


@pytest.mark.parametrize(("least", "most"), [(-8, 7), (-7, 7), (-3, 5), (-1, 1), (0, 6)])
def test_whole_multiples_of_a_scale_keep_it_whatever_the_largest_of_them(least: int, most: int) -> None:
    torch.manual_seed(5)
    scale_NG1 = torch.randn(40, 3, 1).half().float()
    weight = (scale_NG1 * torch.randint(least, most + 1, (40, 3, 32))).flatten(1)
    assert torch.equal(rounded(weight, "int4"), weight)
    assert torch.equal(round_int4(weight).weight_NK, weight)


def test_columns_that_count_are_rounded_better_and_no_scale_beside_the_chosen_one_is() -> None:
    torch.manual_seed(6)
    weight, importance = torch.randn(2 * BLOCK + 3, 64), torch.rand(64) ** 4
    found = round_int4_by_importance(weight, importance)

    def error(matrix: torch.Tensor) -> torch.Tensor:
        return ((matrix - weight).square() * importance).unflatten(1, (-1, 32)).sum(-1)

    assert error(found.weight_NK).sum() < 0.85 * error(round_int4(weight).weight_NK).sum()
    for factor in (0.98, 1.02):
        assert (
            error((found.code_NGC * found.scale_NG[..., None] * factor).flatten(1)) >= error(found.weight_NK) * 0.999
        ).float().mean() > 0.95
