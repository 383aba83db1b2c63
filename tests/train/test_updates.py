import torch

from hanmo.train.updates import NEWTON_SCHULZ, l1_subgradient, muon_scale, orthogonalize


def test_newton_schulz_brings_singular_values_near_one():
    torch.manual_seed(0)
    for shape in ((3, 24, 24), (2, 16, 64), (2, 64, 16)):
        moved = orthogonalize(torch.randn(shape))
        values = torch.linalg.svdvals(moved)
        assert moved.shape == shape
        assert values.median() > 0.6
        assert values.max() < 1.3


def test_newton_schulz_keeps_singular_vectors():
    torch.manual_seed(0)
    matrix = torch.randn(1, 8, 8, dtype=torch.float64)
    u, s, v = torch.linalg.svd(matrix[0])
    values = s / s.norm()
    a, b, c = NEWTON_SCHULZ
    for _ in range(5):
        values = a * values + b * values**3 + c * values**5
    torch.testing.assert_close(orthogonalize(matrix)[0], u @ torch.diag(values) @ v, atol=1e-5, rtol=1e-5)


def test_l1_pulls_toward_zero():
    assert l1_subgradient(torch.tensor([2.0, -3.0, 0.0]), l1=0.1).tolist() == [0.10000000149011612, -0.10000000149011612, 0.0]


def test_muon_scales_tall_matrices_up():
    assert muon_scale(4, 16) == 1.0
    assert muon_scale(64, 16) == 2.0
