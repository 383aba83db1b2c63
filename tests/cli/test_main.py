import errno
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hanmo.base.errors import HanmoError, UsageError
from hanmo.cli import doctor
from hanmo.cli.main import VERBS, main, run, usage

Heard = pytest.CaptureFixture[str]


def break_doctor(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let the doctor's run end with an error."""

    def fail(options: doctor.Options) -> dict[str, object]:
        raise error

    monkeypatch.setattr(doctor, "run", fail)


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]])
def test_help_names_every_verb(words: list[str], capsys: Heard) -> None:
    assert run(words) == 0
    heard = capsys.readouterr()
    assert heard.out == usage() + "\n" and heard.err == "" and all(f"  {verb} " in heard.out for verb in VERBS)


def test_no_words_at_all_is_wrong_use_and_shows_help(capsys: Heard) -> None:
    assert run([]) == 2
    assert "hanmo VERB --help" in capsys.readouterr().out


def test_version_is_told(capsys: Heard) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("hanmo 0.")


def test_misspelt_verb_gets_a_suggestion(capsys: Heard) -> None:
    assert run(["pretain"]) == 2
    heard = capsys.readouterr()
    assert heard.err == "hanmo: unknown verb 'pretain': did you mean 'pretrain'?; see hanmo --help\n" and heard.out == ""
    assert run(["zzz"]) == 2 and "did you mean" not in capsys.readouterr().err


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_explains_itself(verb: str, capsys: Heard) -> None:
    with pytest.raises(SystemExit) as leaving:
        run([verb, "--help"])
    assert not leaving.value.code and f"usage: hanmo {verb}" in capsys.readouterr().out


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_answers_nonsense_in_one_line(verb: str, capsys: Heard) -> None:
    assert run([verb, "--no-such-flag", "x", "--json"]) == 2
    heard = capsys.readouterr()
    assert heard.out == "" and heard.err.startswith(f"hanmo {verb}: ") and len(heard.err.splitlines()) == 1


def test_json_is_the_only_thing_on_standard_output(capsys: Heard, tmp_path: Path) -> None:
    words = ["doctor", "--seconds", "0.01", "--folder", str(tmp_path)]
    assert run([*words, "--json"]) == 0
    heard = capsys.readouterr()
    assert json.loads(heard.out)["machine"]["cores"] >= 1 and len(heard.out.splitlines()) == 1
    assert "matrix products" in heard.err
    assert run(words) == 0
    heard = capsys.readouterr()
    assert "matrix products" in heard.out and heard.err == ""


@pytest.mark.parametrize("error, code", [(HanmoError("the disk is full"), 1), (UsageError("a (=1) is wrong"), 2)])
def test_errors_are_one_line_and_an_exit_code(error: HanmoError, code: int, capsys: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    break_doctor(monkeypatch, error)
    assert run(["doctor"]) == code
    assert capsys.readouterr() == ("", f"hanmo doctor: {error}\n")


def test_interruption_says_that_the_same_command_goes_on(capsys: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    break_doctor(monkeypatch, KeyboardInterrupt())
    assert run(["doctor"]) == 1
    assert capsys.readouterr().err == "hanmo doctor: interrupted; the same command goes on from what is saved\n"


@pytest.mark.parametrize("error", [ZeroDivisionError("ours"), RuntimeError("ours"), OSError("ours")])
def test_mistake_of_ours_is_not_hidden(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    break_doctor(monkeypatch, error)
    with pytest.raises(type(error), match="ours"):
        run(["doctor"])


@pytest.mark.parametrize(
    "error, words",
    [
        (OSError(errno.EIO, "Input/output error", "a.txt"), "Input/output error: a.txt"),
        (MemoryError(), "memory ran out: lower train.micro_batch_size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 51539607552 bytes."), "memory ran out"),
        (UsageError("two\nlines"), "two lines"),
    ],
)
def test_what_the_system_refuses_is_one_line(error: Exception, words: str, capsys: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    break_doctor(monkeypatch, error)
    assert run(["doctor"]) in (1, 2)
    heard = capsys.readouterr()
    assert heard.out == "" and heard.err.startswith(f"hanmo doctor: {words}") and len(heard.err.splitlines()) == 1


def test_numbers_that_json_does_not_have_are_null(capsys: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "run", lambda options: {"a": math.nan, "b": [math.inf, 1.5], "c": {"d": (-math.inf, "x")}})
    monkeypatch.setattr(doctor, "show", lambda result: "")
    assert run(["doctor", "--json"]) == 0
    assert capsys.readouterr().out == '{"a": null, "b": [null, 1.5], "c": {"d": [null, "x"]}}\n'


def hanmo_in_a_shell(redirections: str, *words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the program with closed or redirected streams."""
    command = ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-m", "hanmo.cli.main", *words]
    return subprocess.run(command, capture_output=True, check=False, env={**os.environ, **environment})


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(closed: str, tmp_path: Path) -> None:
    done = hanmo_in_a_shell(closed, "doctor", "--seconds", "0.01", "--folder", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_stream_that_cannot_write_chinese_writes_numbers_and_the_same_json() -> None:
    shown = hanmo_in_a_shell("", "--help", PYTHONIOENCODING="ascii")
    assert shown.returncode == 0 and rb"hanmo (\u7ff0\u58a8)" in shown.stdout
    plain, ascii_only = (hanmo_in_a_shell("", "fetch", "--list", "--json", PYTHONIOENCODING=coding) for coding in ("utf-8", "ascii"))
    assert json.loads(plain.stdout) == json.loads(ascii_only.stdout)


def test_reader_who_leaves_early_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "hanmo.cli.main", "doctor", "--seconds", "0.01", "--folder", str(tmp_path)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert done.returncode == 1 and done.stderr == b""


def test_program_leaves_with_the_code_of_its_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["hanmo", "--help"])
    with pytest.raises(SystemExit) as leaving:
        main()
    assert leaving.value.code == 0
