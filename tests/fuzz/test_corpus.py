"""Every mutant of the corpus, and some new ones, load truly or are refused in one line; `make fuzz` goes on for as long as you like."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fuzz.corpus import Case, changed, difference, gist, read_corpus, write_corpus
from tests.fuzz.ggufs import put_together, taken_apart
from tests.fuzz.seeds import Seed

ROOT = Path(__file__).parents[2]
SEEDS = {"one": Seed("one", "text", {"a.json": b'{"size": 7}', "b": b"weights"})}


def test_the_corpus_and_new_mutants_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    """In a process of its own: this one has threads that a fork would miss."""
    command = [sys.executable, "-m", "tests.fuzz", "--minutes", "0.1", "--seed", "1", "--replay", "--findings", str(tmp_path / "found")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert '"read": ' in done.stdout and "is not read" not in done.stdout


def test_a_gguf_file_comes_apart_and_together() -> None:
    import tempfile

    from tests.convert.conftest import small_file

    with tempfile.TemporaryDirectory() as folder:
        content = small_file(Path(folder) / "m.gguf")[0].read_bytes()
    assert put_together(taken_apart(content)) == content


@pytest.mark.parametrize("new", [b"", b'{"size": 77}', b'{"size": 7}{"size": 7}', b"7", b"other words"])
def test_a_difference_gives_the_new_bytes_back(new: bytes) -> None:
    old = SEEDS["one"].files["a.json"]
    change = difference(old, new)
    assert change is not None and changed(old, change) == new


def test_a_corpus_comes_back_and_leaves_out_findings(tmp_path: Path) -> None:
    kept = [Case("one", {"a.json": b'{"size": -7}'}, "ModelError: N"), Case("one", {"b": b"x"}, "dies of SIGSEGV")]
    write_corpus(tmp_path / "c.jsonl", SEEDS, kept, {"dies of SIGSEGV"})
    assert read_corpus(tmp_path / "c.jsonl", SEEDS) == kept[:1]


def test_answers_with_other_numbers_and_names_are_one() -> None:
    answers = [f"ModelError: '/tmp/{name}/m.gguf: the tensor {name!r} takes {number:,} bytes'" for name, number in (("a", 1), ("bb", 1234))]
    assert gist(answers[0]) == gist(answers[1]) != gist("ModelError: 'another'")
    assert gist("TypeError at store.py:184 load: 'x'") == "TypeError at store.py:184"


def test_mutants_of_one_chance_are_the_same() -> None:
    from tests.fuzz.mutants import mutate

    made = [[mutate(random.Random(seed), SEEDS["one"].files) for seed in range(50)] for _ in range(2)]
    assert made[0] == made[1] and sum(files != SEEDS["one"].files for files in made[0]) > 30
