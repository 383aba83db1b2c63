from hanmo.base.runs import Run
from hanmo.pipeline.recipe import Recipe
from hanmo.pipeline.stages.sample import STAGE


def test_it_needs_the_network_alone(tmp_path):
    """What it writes is tested in the walk of `hanmo run`."""
    assert STAGE.needs == ("pretrain",) and STAGE.settings == ("sample",)
    assert STAGE.made(Recipe(), Run(tmp_path)) == [Run(tmp_path).samples]
