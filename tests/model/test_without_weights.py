import subprocess
import sys

import torch
from torch import nn

from hanmo.model.without_weights import without_weights


def test_modules_take_no_memory_and_elsewhere_weights_are_drawn_as_ever() -> None:
    with without_weights():
        layer = nn.Linear(4, 3)
        nn.init.normal_(layer.weight, std=2.0)
        nn.init.zeros_(tensor=layer.bias)
    assert layer.weight.is_meta and layer.weight.shape == (3, 4) and isinstance(layer.weight, nn.Parameter)
    assert nn.init.normal_(torch.empty(4)).abs().sum() > 0


def test_a_model_is_built_without_the_compiler() -> None:
    program = (
        "import sys\nfrom hanmo.model.without_weights import without_weights\nfrom hanmo.model.config import DecoderConfig\n"
        "from hanmo.model.decoder import Decoder\nwith without_weights():\n    network = Decoder(DecoderConfig(vocab_size=8))\n"
        "assert all(each.is_meta for each in network.parameters())\nsys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
