import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hanmo.base.errors import ModelError, StorageError
from hanmo.base.runs import Run, model_folder


def test_names_of_a_run_lie_inside_it_and_differ(tmp_path: Path) -> None:
    run = Run(tmp_path)
    names = [getattr(run, name) for name, value in vars(Run).items() if isinstance(value, property)]
    assert len(names) >= 12 and len(set(names)) == len(names) and all(path.parent == tmp_path for path in names)


def test_logged_rows_come_back_and_a_cut_line_is_left_out(tmp_path: Path) -> None:
    run = Run(tmp_path / "run").create()
    assert run.read_metrics() == []
    for step in (1, 2):
        run.append_metrics({"step": step, "loss": 0.5})
    with run.metrics.open("ab") as stream:
        stream.write(b'{"step": 3, "lo')
    assert [row["step"] for row in run.read_metrics()] == [1, 2]


def test_steps_after_a_checkpoint_are_forgotten(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for step in (1, 2, 3):
        run.append_metrics({"step": step})
    run.keep_metrics([row for row in run.read_metrics() if row["step"] <= 2])
    run.append_metrics({"step": 3, "again": True})
    assert run.read_metrics() == [{"step": 1}, {"step": 2}, {"step": 3, "again": True}]


def test_manifest_and_settings_are_kept(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run.read_manifest() == {}
    run.write_manifest({"seed": 1})
    run.write_config("a = 1\n")
    assert run.read_manifest() == {"seed": 1} and run.config.read_text() == "a = 1\n"


def test_model_is_found_in_its_folder_or_its_run(tmp_path: Path) -> None:
    run = Run(tmp_path / "run").create()
    run.model.mkdir()
    (run.model / "config.json").write_text("{}")
    assert model_folder(run.folder) == model_folder(run.model) == run.model


def test_folder_without_a_model_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="found: nothing"):
        model_folder(tmp_path)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ModelError, match=r"config.json is missing \(found: notes.txt\)"):
        model_folder(tmp_path)
    with pytest.raises(ModelError, match="found: a file"):
        model_folder(tmp_path / "notes.txt")
    with pytest.raises(ModelError, match="does not exist"):
        model_folder(tmp_path / "nowhere")


LOCKING = """
import sys
from pathlib import Path
from hanmo.base.runs import Run
with Run(Path(sys.argv[1])).alone("training"):
    print("inside", flush=True)
    sys.stdin.read()
"""


def test_one_process_at_a_time_is_at_work_and_a_kill_ends_its_lock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(tmp_path)
    command = [sys.executable, "-c", LOCKING, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"inside\n"
        with pytest.raises(StorageError, match=r"another hanmo is at work in .*: wait for it"), run.alone("training"):
            pytest.fail("two processes are inside")
        with run.alone("something else"):
            threading.Timer(0.1, other.kill).start()
            with run.alone("training", wait=True):
                assert other.wait() < 0
    assert "waiting for it" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(StorageError), Run(tmp_path / "nowhere").alone("training"):
        pytest.fail("locked a folder that is not there")
