import dataclasses

import pytest
import torch
from torch import nn

from hanmo.model.kernels.library import switched_off
from hanmo.train.config import TrainConfig
from hanmo.train.optimizer import Optimizer
from hanmo.train.updates import adagrad, adam, decoupled_weight_decay, muon_scale, orthogonalize, sgd

BASE = TrainConfig(max_steps=10, warmup_steps=0, weight_decay=0.0, max_grad_norm=0.0, learning_rate=0.1, muon_learning_rate=0.05)


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList([nn.Linear(4, 6)])


def run(config, steps=3, blocks=None, precision=torch.float32):
    """Weights after each step under fixed gradients, and those gradients."""
    network = Tiny()
    optimizer = Optimizer(network, config, blocks, precision)
    generator = torch.Generator().manual_seed(1)
    history = []
    for _ in range(steps):
        gradients = [torch.randn(p.shape, generator=generator) for p in optimizer.parameters]
        for parameter, gradient in zip(optimizer.parameters, gradients, strict=True):
            parameter.grad = gradient.to(parameter.dtype)
        optimizer.collect()
        optimizer.clip()
        optimizer.step(1.0)
        history.append((gradients, [m.clone() for m in optimizer.masters]))
    return history, optimizer


@pytest.mark.parametrize("name", ["sgd", "adagrad", "adam", "adamw"])
def test_the_fused_rule_equals_its_formula(name):
    config = dataclasses.replace(BASE, optimizer=name, weight_decay=0.1 if name == "adamw" else 0.0)
    weights = [p.detach().clone() for p in Tiny().parameters()]
    first, second = ([torch.zeros_like(w) for w in weights] for _ in range(2))
    for step, (gradients, expected) in enumerate(run(config)[0], start=1):
        for i, gradient in enumerate(gradients):
            w = weights[i]
            if name == "sgd":
                w, first[i] = sgd(w, gradient, first[i], lr=0.1, momentum=config.momentum)
            elif name == "adagrad":
                w, first[i] = adagrad(w, gradient, first[i], lr=0.1, epsilon=config.epsilon)
            else:
                if w.dim() == 2:
                    w = decoupled_weight_decay(w, lr=0.1, weight_decay=config.weight_decay)
                w, first[i], second[i] = adam(
                    w, gradient, first[i], second[i], step=step, lr=0.1, betas=(config.beta1, config.beta2), epsilon=config.epsilon
                )
            weights[i] = w
            torch.testing.assert_close(w, expected[i], atol=1e-6, rtol=1e-5)


def test_muon_moves_each_block_by_its_orthogonal_update():
    config = dataclasses.replace(BASE, optimizer="muon", weight_decay=0.1)
    (gradients, after), *_ = run(config, steps=1, blocks={"layers.0.weight": [2, 4]})[0]
    weight = Tiny().layers[0].weight.detach() * (1 - 0.05 * 0.1)
    update = gradients[0] + config.momentum * gradients[0]
    for start, rows in ((0, 2), (2, 4)):
        moved = orthogonalize(update[None, start : start + rows])[0]
        weight[start : start + rows] -= 0.05 * muon_scale(rows, 4) * moved
    torch.testing.assert_close(after[0], weight, atol=1e-6, rtol=1e-5)


def test_muon_leaves_vectors_to_adamw():
    history, _ = run(dataclasses.replace(BASE, optimizer="muon"), steps=2)
    adamw, _ = run(dataclasses.replace(BASE, optimizer="adamw"), steps=2)
    assert torch.equal(history[-1][1][1], adamw[-1][1][1])
    assert not torch.allclose(history[-1][1][0], adamw[-1][1][0])


@pytest.mark.parametrize("name", ["sgd", "adagrad", "adam", "adamw", "muon"])
def test_restored_state_goes_on_to_the_same_bits(name):
    config = dataclasses.replace(BASE, optimizer=name, weight_decay=0.1)
    whole, _ = run(config, steps=4)
    _, half = run(config, steps=2)
    state = {key: value.clone() for key, value in half.state().items()}
    resumed = Optimizer(Tiny(), config)
    resumed.restore(state)
    for gradients, expected in whole[2:]:
        for parameter, gradient in zip(resumed.parameters, gradients, strict=True):
            parameter.grad = gradient
        resumed.collect()
        resumed.clip()
        resumed.step(1.0)
        assert all(torch.equal(a, b) for a, b in zip(resumed.masters, expected, strict=True))


def test_bf16_weights_follow_fp32_masters():
    _, optimizer = run(dataclasses.replace(BASE, optimizer="adamw", learning_rate=1e-4), precision=torch.bfloat16)
    assert all(p.dtype == torch.bfloat16 for p in optimizer.parameters)
    assert all(m.dtype == torch.float32 for m in optimizer.masters)
    assert all(torch.equal(p.detach(), m.bfloat16()) for p, m in zip(optimizer.parameters, optimizer.masters, strict=True))
    assert not torch.equal(optimizer.masters[0], optimizer.masters[0].bfloat16().float())


def test_clipping_scales_the_global_norm_down():
    network = Tiny()
    optimizer = Optimizer(network, dataclasses.replace(BASE, max_grad_norm=1.0))
    for parameter in optimizer.parameters:
        parameter.grad = torch.full_like(parameter, 3.0)
    optimizer.collect()
    before = optimizer.clip()
    assert before == pytest.approx(3.0 * 30**0.5)
    after = torch.sqrt(sum((g**2).sum() for g in optimizer.gradients()))
    assert float(after) == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_the_kernels_move_bf16_weights_as_torch_does(name):
    config = dataclasses.replace(BASE, optimizer=name, weight_decay=0.1, max_grad_norm=0.5)
    _, fused = run(config, precision=torch.bfloat16)
    with switched_off():
        _, plain = run(config, precision=torch.bfloat16)
    state, expected = fused.state(), plain.state()
    assert state.keys() == expected.keys()
    for key, tensor in expected.items():
        torch.testing.assert_close(state[key], tensor, rtol=1e-4, atol=1e-5, msg=key)
    for mine, theirs in zip(fused.parameters, plain.parameters, strict=True):
        torch.testing.assert_close(mine.float(), theirs.float(), rtol=0.01, atol=1e-4)


def test_gradients_of_several_micro_batches_are_summed_in_fp32():
    network = Tiny()
    optimizer = Optimizer(network, BASE, precision=torch.bfloat16)
    for value in (1.0, 1 / 512):
        for parameter in optimizer.parameters:
            parameter.grad = torch.full_like(parameter, value)
        optimizer.collect()
    assert all(torch.equal(g, torch.full_like(g, 1 + 1 / 512)) for g in optimizer.gradients())
