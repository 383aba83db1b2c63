from hanmo.base.runs import Run
from hanmo.pipeline.recipe import Recipe
from hanmo.pipeline.stages.prepare import data_fingerprint, source_files


def test_files_are_told_by_name_size_and_time_and_a_missing_source_by_nothing(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    recipe = Recipe(sources=(str(tmp_path / "a.txt"),))
    first = source_files(recipe)
    (tmp_path / "a.txt").write_text("two words")
    assert first and source_files(recipe) not in ("", first)
    assert source_files(Recipe(sources=(str(tmp_path / "gone.txt"),))) == ""


def test_a_folder_without_data_has_no_fingerprint(tmp_path):
    assert data_fingerprint(Run(tmp_path)) == ""
