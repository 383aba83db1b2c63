from hanmo.base.runs import Run
from hanmo.pipeline.recipe import Recipe
from hanmo.pipeline.stages.evaluate import STAGE


def test_it_needs_the_network_and_uses_baselines_where_the_recipe_has_them(tmp_path):
    """That its numbers are those of `hanmo evaluate` is tested in the walk of `hanmo run`."""
    assert STAGE.needs == ("pretrain",) and STAGE.uses == ("baselines",)
    assert STAGE.made(Recipe(), Run(tmp_path)) == [Run(tmp_path).evaluation]
