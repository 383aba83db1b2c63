from hanmo.base.runs import Run
from hanmo.base.storage import write_json
from hanmo.pipeline.recipe import Recipe
from hanmo.pipeline.stages.baselines import COUNTED, STAGE, forget_others, places


def test_baselines_begun_otherwise_are_begun_anew(tmp_path):
    folder = Run(tmp_path)
    forget_others(folder, {"settings": "a"})
    (folder.baselines / "lstm").mkdir()
    forget_others(folder, {"settings": "a"})
    assert (folder.baselines / "lstm").exists()
    forget_others(folder, {"settings": "b"})
    assert not (folder.baselines / "lstm").exists()
    write_json(folder.baselines / "made_from.json", {"settings": "c"})
    forget_others(folder, {"settings": "c"})


def test_every_baseline_has_its_place_and_is_missed_where_it_is_gone(tmp_path):
    recipe, folder = Recipe(), Run(tmp_path)
    assert list(places(recipe, folder)) == [*COUNTED, "lstm"]
    assert [path.parent.name for path in STAGE.made(recipe, folder)] == [*COUNTED, "model"]
