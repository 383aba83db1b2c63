import subprocess
import sys

import pytest
import torch

from hanmo.base.errors import StorageError, TrainingError
from hanmo.train import checkpoint
from hanmo.train.checkpoint import TrainingState


def test_a_checkpoint_gives_back_what_was_saved(tmp_path):
    tensors = {"a": torch.randn(3, 4), "b": torch.arange(5.0)}
    checkpoint.save(tmp_path, "step", tensors, TrainingState(step=7, tokens=70, recent_losses=[1.5, 2.0]))
    loaded, state = checkpoint.load(checkpoint.latest(tmp_path))
    assert all(torch.equal(loaded[k], tensors[k]) for k in tensors)
    assert state == TrainingState(step=7, tokens=70, recent_losses=[1.5, 2.0])
    assert state.best_loss == float("inf")


def test_only_the_newest_are_kept(tmp_path):
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, "step", {"a": torch.zeros(1)}, TrainingState(step=step))
        checkpoint.save(tmp_path, "best", {"a": torch.zeros(1)}, TrainingState(step=step))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best-00000003", "step-00000002", "step-00000003"]
    assert checkpoint.find(tmp_path, "best", 1).name == "best-00000003"
    assert checkpoint.find(tmp_path, "step", 2).name == "step-00000002"


def test_what_a_kill_leaves_behind_is_not_taken_for_a_checkpoint(tmp_path):
    checkpoint.save(tmp_path, "step", {"a": torch.zeros(1)}, TrainingState(step=1))
    (tmp_path / ".step-00000002.partial").mkdir()
    assert checkpoint.latest(tmp_path).name == "step-00000001"
    checkpoint.save(tmp_path, "step", {"a": torch.ones(1)}, TrainingState(step=2))
    assert checkpoint.load(checkpoint.latest(tmp_path))[0]["a"].item() == 1.0


def test_a_damaged_checkpoint_says_so(tmp_path):
    checkpoint.save(tmp_path, "step", {"a": torch.zeros(100)}, TrainingState(step=1))
    file = tmp_path / "step-00000001" / "tensors.safetensors"
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(TrainingError, match="damaged"):
        checkpoint.load(checkpoint.latest(tmp_path))


def test_another_versions_checkpoint_is_refused(tmp_path):
    checkpoint.save(tmp_path, "step", {"a": torch.zeros(1)}, TrainingState(step=1))
    (tmp_path / "step-00000001" / "state.json").write_text('{"step": 1}')
    with pytest.raises(TrainingError, match="another version"):
        checkpoint.load(checkpoint.latest(tmp_path))


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import torch
from hanmo.base.errors import StorageError
from hanmo.train import checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path(sys.argv[1])
checkpoint.save(folder, "step", {"a": torch.zeros(10)}, checkpoint.TrainingState(step=1))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    checkpoint.save(folder, "step", {"a": torch.zeros(10000)}, checkpoint.TrainingState(step=2))
except StorageError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more_is_one_clear_line_and_the_last_checkpoint_stays(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("the disk is full")
    assert checkpoint.latest(tmp_path).name == "step-00000001"


def test_a_folder_under_a_file_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match=r"another folder|this name"):
        checkpoint.save(tmp_path / "file" / "checkpoints", "step", {"a": torch.zeros(1)}, TrainingState(step=1))
