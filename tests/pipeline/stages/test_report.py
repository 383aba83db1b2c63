from hanmo.base.runs import Run
from hanmo.base.storage import write_json
from hanmo.pipeline.recipe import Recipe
from hanmo.pipeline.stages.report import STAGE, _fact


def test_facts_stand_under_the_names_of_the_forecast(tmp_path):
    folder = Run(tmp_path)
    write_json(folder.stages, {"pretrain": {"seconds": 1800.0}})
    write_json(folder.manifest, {"peak_memory_bytes": 5})
    write_json(folder.checkpoints / "state.json", {})
    fact = _fact(Recipe(), folder)
    assert fact["minutes"] == 30 and fact["peak_memory_bytes"] == 5 and fact["disk_bytes"] > 0
    assert fact["money"] is None and fact["energy_kwh"] is None
    assert list(fact) == ["minutes", "peak_memory_bytes", "disk_bytes", "money", "energy_kwh"]


def test_its_looks_are_its_own(tmp_path):
    assert STAGE.appearance == ("name", "language") and STAGE.made(Recipe(), Run(tmp_path)) == [Run(tmp_path).report]
