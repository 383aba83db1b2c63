"""How a stage's process ended is told; what stops the parent is tested in the walk of `hanmo run`."""

import pytest

from hanmo.base.errors import HanmoError, UsageError
from hanmo.base.runs import Run
from hanmo.pipeline.child import in_own_process, raise_for


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (2, UsageError, "was refused"),
        (1, HanmoError, "goes on from here"),
        (-9, HanmoError, r"\(SIGKILL\), most likely because memory ran out"),
    ],
)
def test_the_way_a_stage_ended_is_told(code, kind, words):
    with pytest.raises(kind, match=words):
        raise_for(code, "pretrain")


def test_a_process_that_went_well_raises_nothing():
    raise_for(0, "pretrain")


def test_a_stage_of_a_folder_without_a_recipe_is_refused(tmp_path, capfd):
    with pytest.raises(UsageError, match="the stage 'report' was refused"):
        in_own_process("report", Run(tmp_path))
    assert "recipe.toml does not exist" in capfd.readouterr().err
