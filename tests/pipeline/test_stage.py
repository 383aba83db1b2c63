import pytest

from hanmo.base.errors import ConfigError
from hanmo.pipeline.recipe import Recipe
from hanmo.pipeline.stage import Stage, before, fingerprint, ordered, settings_of, undone_by


def stage(name: str, *needs: str, **more: object) -> Stage:
    return Stage(name=name, needs=needs, made=lambda recipe, folder: [], do=lambda recipe, folder: None, **more)


def known(*stages: Stage) -> dict[str, Stage]:
    return {each.name: each for each in stages}


ROAD = known(
    stage("report", "train", uses=("audit",), appearance=("language",)),
    stage("audit", "train"),
    stage("train", "read", settings=("train",), free_to_change=("train.threads",)),
    stage("read", settings=("sources", "prepare"), without_effect=("prepare.workers",)),
)


def test_what_is_needed_comes_along_and_comes_first():
    assert list(ordered(["report"], ROAD)) == ["read", "train", "report"]
    assert list(ordered(["audit", "report"], ROAD)) == ["read", "train", "audit", "report"]


def test_a_stage_undoes_whatever_was_made_from_it_directly_or_not():
    road = ordered(["audit", "report"], ROAD)
    assert undone_by("read", road) == ["train", "audit", "report"]
    assert undone_by("audit", road) == ["report"] and undone_by("report", road) == []
    assert before("report", road) == ["read", "train", "audit"]


def test_what_is_used_counts_only_where_the_recipe_has_it():
    assert before("report", ordered(["report"], ROAD)) == ["read", "train"]


def test_stages_that_need_each_other_and_unknown_ones_are_refused():
    with pytest.raises(ConfigError, match="the stages a, b need each other"):
        ordered(["a"], known(stage("a", "b"), stage("b", "a")))
    with pytest.raises(ConfigError, match="stages names 'c', which is none of a"):
        ordered(["c"], known(stage("a")))


def test_a_fingerprint_is_of_all_that_goes_into_a_result_and_of_its_own_looks():
    recipe, road = Recipe(), ordered(["report"], ROAD)
    assert "prepare.repair" in settings_of("train", recipe, road) and "prepare.workers" not in settings_of("read", recipe, road)
    chinese = Recipe(language="zh")
    assert fingerprint("report", recipe, road) != fingerprint("report", chinese, road)
    assert fingerprint("train", recipe, road) == fingerprint("train", chinese, road)
