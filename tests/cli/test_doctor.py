import dataclasses
import json
from pathlib import Path

import pytest
from tests.convert.conftest import model_folder
from tests.model.families.conftest import SMALL

from hanmo.cli import doctor
from hanmo.cli.main import run as hanmo


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """One examination of this machine."""
    return doctor.run(doctor.parse(["--seconds", "0.02", "--folder", str(tmp_path_factory.mktemp("disk"))]))


def test_doctor_measures_what_decides_about_training(found: dict[str, object]) -> None:
    rates = ["matrix_flops_fp32", "matrix_flops_bf16", "memory_bytes_per_second", "disk_bytes_per_second", "disk_free_bytes", "cores"]
    assert all(float(str(found[name])) > 0 for name in rates)
    assert isinstance(found["bf16_is_fast"], bool)
    assert json.loads(json.dumps(found)) == found


def test_block_for_a_bug_report_is_complete(found: dict[str, object]) -> None:
    shown = doctor.show(found).splitlines()
    names = [line.split("  ")[0] for line in shown]
    assert names == ["system", "processor", "gpu", "load", "memory", "disk", "matrix products", "versions", "commit"]
    assert "torch" in shown[7] and "GFLOP/s" in shown[6]


def test_busy_machine_is_said_to_be_busy(found: dict[str, object]) -> None:
    busy = doctor.show({**found, "load": 100.0, "bf16_is_fast": False, "commit": None, "gpu": "a card"})
    assert "busy" in busy and "auto takes fp32" in busy and "not a checkout" in busy and "a card" in busy


def test_cuda_libraries_without_a_gpu_are_told_with_their_size(found: dict[str, object]) -> None:
    assert "CUDA" not in doctor.show({**found, "gpu": None, "unused_cuda_bytes": 0})
    assert "none, and 2.70 GB of CUDA libraries" in doctor.show({**found, "gpu": None, "unused_cuda_bytes": 2_700_000_000})


def test_doctor_leaves_no_file_behind(tmp_path: Path) -> None:
    doctor.run(doctor.Options(folder=tmp_path, seconds=0.01))
    assert list(tmp_path.iterdir()) == []


def test_two_forms_of_a_model_are_one_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = model_folder(tmp_path / "m", dataclasses.replace(SMALL, max_position_embeddings=64))
    assert hanmo(["doctor", "--parity", str(folder), str(folder), "--json"]) == 0
    heard = capsys.readouterr()
    found = json.loads(heard.out)
    assert found["equal"] and [row["what"] for row in found["parity"]] == ["tokens", "template", "logits", "greedy text"]
    assert "greedy text  equal" in heard.err
