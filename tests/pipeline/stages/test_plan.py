from hanmo.base.storage import read_json
from hanmo.pipeline.recipe import read_recipe
from hanmo.pipeline.stages.plan import STAGE


def test_it_writes_the_forecast_of_the_network_that_is_trained(begun, recipe):
    wanted = read_recipe(recipe)
    STAGE.do(wanted, begun)
    (path,) = STAGE.made(wanted, begun)
    plan = read_json(path)
    assert plan["steps"] == 40 and plan["measured"]["probe"]["steps"] > 0
    path.unlink()
