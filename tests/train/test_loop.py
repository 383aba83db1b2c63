import dataclasses
import json
import math
import os
import signal

import pytest
import torch

from hanmo.base.errors import Interrupted, TrainingError
from hanmo.train.config import TrainConfig

SHORT = TrainConfig(
    max_steps=12,
    warmup_steps=2,
    batch_size=8,
    eval_every=5,
    checkpoint_every=3,
    log_every=2,
    optimizer="muon",
    learning_rate=3e-3,
    precision="fp32",
)


def weights(loop):
    return [m.clone() for m in loop.optimizer.masters]


def test_a_learnable_text_is_learned(make_loop):
    loop = make_loop(dataclasses.replace(SHORT, max_steps=120, learning_rate=1e-2))
    state = loop.run()
    assert state.best_loss < 0.5 < math.log(23)
    assert state.stopped_by == "limit"


@pytest.mark.parametrize("name", ["sgd", "adagrad", "adam", "adamw", "muon"])
def test_every_optimizer_lowers_the_loss(make_loop, name):
    rate = {"sgd": 0.3, "adagrad": 0.05}.get(name, 1e-2)
    loop = make_loop(dataclasses.replace(SHORT, optimizer=name, max_steps=40, learning_rate=rate))
    loop.run()
    losses = [row["loss"] for row in loop.folder.read_metrics()]
    assert losses[-1] < losses[0] - 0.3


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_accumulation_equals_one_large_batch(make_loop, precision):
    config = dataclasses.replace(SHORT, max_steps=3, precision=precision, optimizer="sgd", learning_rate=0.1)
    whole, split = make_loop(config, name="whole"), make_loop(config, name="split", micro_batches=4)
    whole.run()
    split.run()
    tolerance = 1e-6 if precision == "fp32" else 2e-3
    for a, b in zip(weights(whole), weights(split), strict=True):
        torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("stop_after", [1, 3, 4, 7, 11])
def test_killed_and_resumed_gives_the_same_bits(make_loop, stop_after):
    config = dataclasses.replace(SHORT, precision="bf16")
    whole = make_loop(config, name="whole", hidden_dropout=0.1)
    whole.run()

    class Killed(BaseException):
        pass

    victim = make_loop(config, name="victim", hidden_dropout=0.1)
    rows = victim.batch_of

    def deadly(step, micro):
        if step == stop_after:
            raise Killed
        return rows(step, micro)

    victim.batch_of = deadly
    with pytest.raises(Killed):
        victim.run()
    again = make_loop(config, name="victim", hidden_dropout=0.1)
    again.run()
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(again), strict=True))
    plain = [
        [{k: v for k, v in row.items() if k in ("step", "loss", "validation_loss")} for row in loop.folder.read_metrics()]
        for loop in (whole, again)
    ]
    assert plain[0] == plain[1]


def test_a_stop_signal_saves_and_leaves(make_loop):
    loop = make_loop(SHORT)
    rows = loop.batch_of

    def signalling(step, micro):
        if step == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return rows(step, micro)

    loop.batch_of = signalling
    with pytest.raises(Interrupted, match=r"SIGTERM.*step 5"):
        loop.run()
    resumed = make_loop(SHORT)
    resumed.resume()
    assert resumed.state.step == 5


def test_a_loss_that_is_not_a_number_stops_with_a_diagnosis(make_loop):
    loop = make_loop(SHORT)
    loop.optimizer.masters[0].fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"loss nan.*first gradient that is not finite.*lower train.learning_rate"):
        loop.run()


def test_a_spiking_loss_stops_with_a_diagnosis(make_loop):
    loop = make_loop(dataclasses.replace(SHORT, max_steps=100, optimizer="sgd", learning_rate=0.0, muon_learning_rate=0.0))
    loop.state.recent_losses = [0.01] * 50
    with pytest.raises(TrainingError, match=r"step 3: the loss .* for three steps.*spike_factor"):
        loop.run()


def test_patience_stops_and_the_best_weights_are_kept(make_loop, capsys):
    scores = iter([3.0, 1.0, 2.0, 2.0, 2.0])
    seen = {}

    def scripted(network):
        loss = next(scores)
        seen[loss] = [p.detach().clone() for p in network.parameters()]
        return {"validation_loss": loss}

    loop = make_loop(dataclasses.replace(SHORT, max_steps=0, patience=3, eval_every=2), validate=scripted)
    state = loop.run()
    assert (state.stopped_by, state.best_step, state.step) == ("patience", 4, 10)
    assert all(torch.equal(p, best) for p, best in zip(loop.network.parameters(), seen[1.0], strict=True))
    assert capsys.readouterr().err.count("validation has not improved since step 4 (1.0000, now 2.0000)") == 1


def test_a_tokens_limit_and_a_minutes_limit_end_a_run(make_loop):
    per_step = 8 * 16 - 8
    by_tokens = make_loop(dataclasses.replace(SHORT, max_steps=0, max_tokens=3 * per_step), name="tokens").run()
    assert by_tokens.step == 3
    by_minutes = make_loop(dataclasses.replace(SHORT, max_steps=10**9, max_minutes=0.005), name="minutes").run()
    assert 0 < by_minutes.step < 10**6
    assert by_minutes.seconds >= 0.3


@pytest.mark.parametrize("change", [{"weight_decay": 2.0}, {"l1": 1e-2}])
def test_decay_and_l1_shrink_the_matrices(make_loop, change):
    config = dataclasses.replace(SHORT, max_steps=30, optimizer="adamw", learning_rate=1e-2, weight_decay=0.0)
    plain, regular = make_loop(config, name="plain"), make_loop(dataclasses.replace(config, **change), name="regular")
    plain.run()
    regular.run()
    sizes = [sum(m.abs().sum() for m in loop.optimizer.matrices) for loop in (plain, regular)]
    assert sizes[1] < 0.9 * sizes[0]


def test_label_smoothing_keeps_the_network_less_certain(make_loop):
    config = dataclasses.replace(SHORT, max_steps=120, learning_rate=1e-2)
    certain, smoothed = make_loop(config, name="certain"), make_loop(dataclasses.replace(config, label_smoothing=0.2), name="smoothed")
    for loop in (certain, smoothed):
        loop.run()
    ids = torch.from_numpy(certain.batch_of(0, 0).ids)
    with torch.no_grad():
        peaks = [loop.network.eval()(ids).softmax(-1).amax(-1)[:, 4:].mean() for loop in (certain, smoothed)]
    assert peaks[1] < peaks[0] - 0.05


def test_dropout_acts_in_training_only(make_loop):
    loop = make_loop(SHORT, hidden_dropout=0.5, attention_dropout=0.1, embedding_dropout=0.1)
    ids = torch.from_numpy(loop.batch_of(0, 0).ids)
    with torch.no_grad():
        assert not torch.equal(loop.network.train()(ids), loop.network(ids))
        assert torch.equal(loop.network.eval()(ids), loop.network(ids))


def test_metrics_hold_every_logged_step_once(make_loop):
    loop = make_loop(SHORT)
    loop.run()
    rows = loop.folder.read_metrics()
    assert [row["step"] for row in rows] == [2, 4, 5, 6, 8, 10, 12]
    assert all(math.isfinite(row["loss"]) and row["memory_bytes"] > 1e6 for row in rows)
    assert [row["step"] for row in rows if "validation_loss" in row] == [5, 10, 12]


def test_tensorboard_files_appear_on_request(make_loop):
    loop = make_loop(dataclasses.replace(SHORT, tensorboard=True))
    loop.run()
    assert list((loop.folder.folder / "tensorboard").glob("events.*"))


def test_a_finished_run_is_left_as_it_is(make_loop):
    make_loop(SHORT).run()
    again = make_loop(SHORT)
    again.batch_of = None
    assert again.run().step == 12
    assert json.loads((again.folder.checkpoints / "step-00000012" / "state.json").read_text())["stopped_by"] == "limit"
