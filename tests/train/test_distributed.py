import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hanmo.train.distributed import World, world

TRAIN = """
import sys
import torch
from safetensors.torch import save_file
sys.path.insert(0, sys.argv[1])
from conftest import VOCAB, CONTEXT, part, rows_of, validate
from pathlib import Path
from hanmo.base.runs import Run
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.train.config import TrainConfig
from hanmo.train.distributed import world
from hanmo.train.loop import Loop
from hanmo.train.losses import TokenLoss
from hanmo.train.optimizer import Optimizer
from hanmo.train.progress import Meter

torch.set_num_threads(1)
config = TrainConfig(max_steps=4, warmup_steps=1, batch_size=8, optimizer="sgd", learning_rate=0.1, eval_every=2, checkpoint_every=2)
with world() as here:
    torch.manual_seed(0)
    shape = dict(vocab_size=VOCAB, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=CONTEXT)
    network = Decoder(DecoderConfig(**shape))
    loop = Loop(
        network=network, optimizer=Optimizer(network, config), loss=TokenLoss(), micro_batches=2, validate=validate, config=config,
        batch_of=lambda step, micro: part(rows_of(step, 8), here.rank * 2 + micro, 2 * here.size),
        folder=Run(Path(sys.argv[2])), meter=Meter(flops_per_token=0, machine_flops=0, quiet=True), world=here,
    )
    loop.folder.create()
    loop.run()
    if here.is_first:
        save_file(loop.weights(), sys.argv[2] + "/weights.safetensors")
"""


def train(folder, processes):
    script = folder.parent / "train.py"
    script.write_text(TRAIN)
    launcher = [] if processes == 1 else ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, *launcher, str(script), str(Path(__file__).parent), str(folder)]
    subprocess.run(command, check=True, capture_output=True, env=environment, timeout=120)
    return load_file(folder / "weights.safetensors"), (folder / "metrics.jsonl").read_text()


@pytest.mark.timeout(240)
def test_two_processes_give_the_weights_of_one(tmp_path):
    alone, _ = train(tmp_path / "alone", 1)
    together, log = train(tmp_path / "together", 2)
    for name, weight in alone.items():
        torch.testing.assert_close(together[name], weight, atol=2e-6, rtol=1e-5)
    assert log.count("validation_loss") == 2


def test_alone_everything_is_a_sum_of_one():
    with world() as here:
        assert here == World(rank=0, size=1)
        assert here.is_first
        assert here.sum_numbers(1.5, 2.0) == [1.5, 2.0]
        assert here.any(True)
        assert not here.any(False)
        tensor = torch.ones(2)
        here.sum_([tensor])
        here.wait()
        assert tensor.tolist() == [1.0, 1.0]
