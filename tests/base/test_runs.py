from pathlib import Path

import pytest

from hanmo.base.errors import ModelError
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
