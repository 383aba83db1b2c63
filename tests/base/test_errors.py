import copy
import inspect

import pytest

from hanmo.base import errors
from hanmo.base.errors import ConfigError, HanmoError, MissingExtraError, UsageError

TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


def test_every_error_is_one_a_user_may_meet() -> None:
    assert len(TREE) >= 8 and all(issubclass(kind, HanmoError) for kind in TREE)
    assert all(kind.__name__ in str(errors.__doc__) for kind in TREE)


@pytest.mark.parametrize("kind", TREE)
def test_wrong_use_leaves_with_two_and_all_else_with_one(kind: type[HanmoError]) -> None:
    assert kind.exit_code == (2 if issubclass(kind, UsageError) else 1)


def test_wrong_setting_is_wrong_use() -> None:
    assert issubclass(ConfigError, UsageError)


def test_missing_library_names_the_command_that_installs_it() -> None:
    assert str(MissingExtraError("tensorboard", "tensorboard")) == "tensorboard is not installed: pip install 'hanmo[tensorboard]'"


@pytest.mark.parametrize("error", [HanmoError("said once"), ConfigError("a (=1)"), MissingExtraError("lib", "extra")])
def test_an_error_comes_back_whole_from_a_worker_process(error: HanmoError) -> None:
    back = copy.copy(error)
    assert type(back) is type(error) and str(back) == str(error)


def test_a_message_is_one_line_that_a_terminal_can_show() -> None:
    said = str(HanmoError("a\r\nname \x1b[31m of  山　水\ud800" + "x" * 9000))
    assert said.startswith("a name \\x1b[31m of  山　水\\ud800xx") and len(said) < 1300 and said.isprintable() is False
    assert len(said.splitlines()) == 1 and "\x1b" not in said
