import torch

from hanmo.model.rounding import BLOCK, round_int4, round_int4_with_least, round_weights


def test_rounding_block_by_block_is_rounding_the_whole_also_when_only_some_rows_have_even_steps() -> None:
    torch.manual_seed(4)
    uneven = torch.randn(2 * BLOCK + 5, 64)
    even = round_int4_with_least(uneven).weight_NK
    mixed = torch.cat([even[:BLOCK], uneven[BLOCK:]])
    for weight, expected in ((uneven, round_int4(uneven)), (even, round_int4_with_least(even)), (mixed, round_int4(mixed))):
        found = round_weights(weight, "int4")
        assert torch.equal(found.weight_NK, expected.weight_NK)
        assert (found.least_NG is None) == (expected.least_NG is None)
