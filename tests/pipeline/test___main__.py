"""The process of a stage: one line for a mistake, and a code."""

from hanmo.pipeline.__main__ import main


def test_a_mistake_is_one_line_and_a_code(tmp_path, capsys):
    assert main(str(tmp_path), "report") == 2
    heard = capsys.readouterr().err
    assert heard.startswith("hanmo run, report: the recipe") and heard.count("\n") == 1
    (tmp_path / "recipe.toml").write_text('sources = ["nowhere"]\nstages = ["prepare"]\n')
    assert main(str(tmp_path), "prepare") == 1
    assert "nowhere" in capsys.readouterr().err


def test_a_stage_is_done_and_noted(tmp_path):
    (tmp_path / "a.txt").write_text("Some words about the weather at sea.\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.toml").write_text(f'sources = ["{tmp_path / "a.txt"}"]\nstages = ["prepare"]\n')
    assert main(str(tmp_path / "run"), "prepare") == 0
    assert (tmp_path / "run" / "data" / "manifest.json").exists() and (tmp_path / "run" / "stages.json").exists()
