"""What linters cannot see: mirrored tests, sizes, names, the map, what a verb costs, what never happens."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hanmo
from hanmo.cli.main import VERBS

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "hanmo"
FILES = sorted(SOURCE.rglob("*.py"))
ROOMS = sorted(folder.name for folder in SOURCE.iterdir() if (folder / "__init__.py").exists())

FORBIDDEN_NAMES = ("util", "utils", "common", "helper", "helpers", "core", "manager", "managers", "misc")
LONGEST_FILE, LONGEST_FUNCTION = 400, 60
PICKLING = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
HEAVY = ("torch", "transformers", "pyarrow", "matplotlib", "tokenizers", "numpy")


def tree(path: Path) -> ast.Module:
    """A source file, parsed."""
    return ast.parse(path.read_text("utf-8"))


def is_docstring_only(path: Path) -> bool:
    """Whether a file holds its docstring and nothing else."""
    body = tree(path).body
    return len(body) == 1 and isinstance(body[0], ast.Expr) and ast.get_docstring(tree(path)) is not None


def mirror(path: Path) -> Path:
    """Where the tests of a source file belong."""
    name = "init" if path.name == "__init__.py" else path.stem
    return ROOT / "tests" / path.relative_to(SOURCE).with_name(f"test_{name}.py")


def tracked_files() -> list[Path]:
    """Every file that git keeps."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout: git knows no tracked files")
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_every_source_file_has_its_tests() -> None:
    wanted = [path for path in FILES if path != SOURCE / "__init__.py" and not (path.name == "__init__.py" and is_docstring_only(path))]
    assert [str(mirror(path).relative_to(ROOT)) for path in wanted if not mirror(path).exists()] == []


def test_every_test_in_a_room_mirrors_a_source_file() -> None:
    known = {mirror(path) for path in FILES}
    strays = [path for room in ROOMS for path in (ROOT / "tests" / room).rglob("test_*.py") if path not in known]
    assert [str(path.relative_to(ROOT)) for path in strays] == []


def test_no_file_is_longer_than_it_may_be() -> None:
    written = [
        path for kind in ("py", "cpp", "h") for folder in ("src", "tests", "benchmarks") for path in (ROOT / folder).rglob(f"*.{kind}")
    ]
    long = {str(path.relative_to(ROOT)): lines for path in written if (lines := len(path.read_text("utf-8").splitlines())) > LONGEST_FILE}
    assert long == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{path.relative_to(SOURCE)}:{node.lineno} {node.name}": lines
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert long == {}


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    everything = [path for folder in ("src/hanmo", "tests", "benchmarks") for path in (ROOT / folder).rglob("*")]
    assert [str(path.relative_to(ROOT)) for path in everything if path.stem.removeprefix("test_") in FORBIDDEN_NAMES] == []


def test_one_name_names_one_class() -> None:
    homes: dict[str, list[str]] = {}
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef) and node.name != "Options":  # of each verb
                homes.setdefault(node.name, []).append(str(path.relative_to(SOURCE)))
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def test_opening_file_of_a_room_holds_its_docstring_only() -> None:
    assert [room for room in ROOMS if not is_docstring_only(SOURCE / room / "__init__.py")] == []


@pytest.mark.parametrize("room", ROOMS)
def test_docstring_of_a_room_says_in_out_order_and_never(room: str) -> None:
    said = ast.get_docstring(tree(SOURCE / room / "__init__.py")) or ""
    assert [words for words in ("In:", "Out:", "Reading order:", "Never here:") if words not in said] == []


@pytest.mark.parametrize("room", ROOMS)
def test_reading_order_of_a_room_names_every_file(room: str) -> None:
    said = ast.get_docstring(tree(SOURCE / room / "__init__.py")) or ""
    order = said.split("Reading order:")[1].split("Never here:")[0]
    names = [path.stem for path in (SOURCE / room).glob("*.py") if path.name != "__init__.py"]
    names += [path.parent.name for path in (SOURCE / room).glob("*/__init__.py")]
    verbs = VERBS if room == "cli" else ()
    assert [name for name in sorted(names) if name not in verbs and not re.search(rf"\b{name}\b", order)] == []


@pytest.mark.parametrize("name, heading", [("README.md", "## Map"), ("README.zh-CN.md", "## 房间")])
def test_map_of_the_readme_is_the_folders(name: str, heading: str) -> None:
    """A line of the map begins with a room in backticks, in a list or a table."""
    text = (ROOT / name).read_text("utf-8")
    assert heading in text
    section = text.split(heading, 1)[1].split("\n## ", 1)[0]
    assert sorted(re.findall(r"^[-*| ]*`(?:hanmo/|src/hanmo/)?([a-z_]+)/?`", section, re.MULTILINE)) == ROOMS


def test_map_in_the_docstring_of_the_package_is_the_folders() -> None:
    named = re.findall(r"^ {4}([a-z_]+) {2,}", hanmo.__doc__ or "", re.MULTILINE)
    assert sorted(named) == ROOMS


def test_verbs_are_files_with_four_parts() -> None:
    for verb in VERBS:
        path = SOURCE / "cli" / f"{verb}.py"
        assert path.exists() and mirror(path).exists(), verb
        names = {node.name for node in tree(path).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert names >= {"Options", "parse", "run", "show"}, verb


def test_file_with_the_parts_of_a_verb_is_one() -> None:
    made = [path.stem for path in (SOURCE / "cli").glob("*.py") if "def show(" in path.read_text() and "def parse(" in path.read_text()]
    assert sorted(made) == sorted(VERBS)


HELP = "import sys; from hanmo.cli.main import run; run(['--help']); print(*sys.modules, sep='\\n')"
TIMED_HELP = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "hanmo.cli.main", "--help"], stdout=subprocess.DEVNULL, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime)
"""


def seen(code: str) -> str:
    """What a fresh Python prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_help_costs_less_than_a_blink() -> None:
    """Processor time, the best of five: other work on this machine is not the verb's fault."""
    assert min(float(seen(TIMED_HELP)) for _ in range(5)) < 0.3


def test_help_loads_nothing_heavy() -> None:
    assert [name for name in seen(HELP).splitlines() if name in (*HEAVY, "tyro")] == []


def test_verbs_load_torch_only_when_they_run() -> None:
    loaded = seen(
        f"import sys, importlib; [importlib.import_module('hanmo.cli.' + v) for v in {list(VERBS)}]; print(*sys.modules, sep='\\n')"
    )
    assert [name for name in loaded.splitlines() if name in ("torch", "transformers", "matplotlib")] == []


def test_no_file_names_the_host_of_a_package_registry() -> None:
    hosts = ["py{}pi.", "python{}hosted", "npm{}js.", "crates{}.io", "ana{}conda.", "go{}lang.org", "ruby{}gems.", "repo1.{}maven"]
    wanted = re.compile("|".join(re.escape(host.format("")) for host in hosts), re.IGNORECASE)
    found = [str(path.relative_to(ROOT)) for path in tracked_files() if wanted.search(path.read_bytes().decode("utf-8", "replace"))]
    assert found == []


def pickling(path: Path) -> list[str]:
    """What in a file would read or write pickles."""
    found: list[str] = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [each.name for each in node.names if each.name.split(".")[0] in PICKLING]
        elif isinstance(node, ast.ImportFrom):
            found += [str(node.module)] if str(node.module).split(".")[0] in PICKLING else []
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            found += [called] if called in ("torch.load", "torch.save") else []
            found += [
                f"{called}(allow_pickle)" for word in node.keywords if word.arg == "allow_pickle" and ast.unparse(word.value) != "False"
            ]
    return found


def test_nothing_is_pickled() -> None:
    assert {str(path): found for path in FILES if (found := pickling(path))} == {}


def test_the_test_for_pickles_finds_them(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text(
        "import pickle\nfrom joblib import load\ntorch.load(p)\nnp.load(p, allow_pickle=True)\nnp.load(p, allow_pickle=False)\n"
    )
    assert pickling(path) == ["pickle", "joblib", "torch.load", "np.load(allow_pickle)"]


def test_public_names_are_these_and_all_are_there() -> None:
    assert hanmo.__all__ == ["load", "load_encoder", "measure", "prepare", "pretrain", "run", "train_tokenizer"]
    assert all(callable(getattr(hanmo, name)) for name in hanmo.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lood'"):
        _ = hanmo.lood


def test_package_without_use_loads_nothing_heavy() -> None:
    assert [name for name in seen("import sys, hanmo; print(*sys.modules, sep='\\n')").splitlines() if name in HEAVY] == []


def test_glossary_says_every_word_once_in_both_languages() -> None:
    lines = (ROOT / "docs" / "glossary.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines if line.startswith("| ")][1:]
    words = [row[0] for row in rows]
    assert len(rows) > 40 and len(set(words)) == len(words)
    assert [row for row in rows if len(row) != 4 or not all(row) or not re.search(r"[一-鿿]", row[1] + row[3])] == []


def test_modules_say_what_they_are_for() -> None:
    assert [str(path) for path in FILES if not (ast.get_docstring(tree(path)) or "").strip()] == []


def test_importing_any_room_changes_nothing() -> None:
    for room in ROOMS:
        assert importlib.import_module(f"hanmo.{room}").__doc__
