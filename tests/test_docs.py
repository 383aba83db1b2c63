"""What the documents say is what the code does: commands parse, both languages have the same blocks, the drawing is the contract."""

import importlib
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from hanmo.cli.main import VERBS
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.model.store import save_model
from hanmo.tokenizer.config import TokenizerConfig
from hanmo.tokenizer.train import train_tokenizer

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.zh-CN.md")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(name: str) -> list[tuple[str, list[str]]]:
    """Language and lines of every fenced block, comments left out."""
    text = (ROOT / name).read_text("utf-8")
    found = [(kind, [line.split("  #")[0].strip() for line in body.splitlines()]) for kind, body in BLOCK.findall(text)]
    return [(kind, [line for line in lines if line]) for kind, lines in found]


def commands(name: str) -> list[list[str]]:
    """The words of every `hanmo ...` line."""
    lines = [line for kind, lines in blocks(name) if kind == "console" for line in lines]
    return [shlex.split(line) for line in lines if line.startswith("hanmo ")]


@pytest.fixture(scope="module")
def somewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipes and the run that the READMEs speak of; some parsers ask the model for its defaults."""
    folder = tmp_path_factory.mktemp("somewhere")
    (folder / "recipes").symlink_to(ROOT / "recipes")
    tokenizer = train_tokenizer(["A few words."], TokenizerConfig(vocab_size=257))
    tokenizer.save(folder / "tokenizer")
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    network = Decoder(DecoderConfig(vocab_size=tokenizer.vocab_size, **shape))
    save_model(network, folder / "runs" / "mine" / "model", tokenizer_folder=folder / "tokenizer")
    return folder


EVERY = [(name, words) for name in READMES for words in commands(name)]


@pytest.mark.parametrize(("name", "words"), EVERY, ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else value)
def test_every_command_of_a_readme_is_one_that_the_parser_takes(
    name: str, words: list[str], somewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(somewhere)
    verb, rest = words[1], [word for word in words[2:] if word != "--json"]
    assert verb in VERBS
    importlib.import_module(f"hanmo.cli.{verb}").parse(rest)


def test_there_are_commands_in_both_readmes() -> None:
    assert all(len(commands(name)) > 20 for name in READMES)


def test_both_readmes_have_the_same_blocks_and_commands() -> None:
    english, chinese = (blocks(name) for name in READMES)
    assert [kind for kind, _ in english] == [kind for kind, _ in chinese]
    assert [len(lines) for _, lines in english] == [len(lines) for _, lines in chinese]
    verbs = [[words[1] for words in commands(name)] for name in READMES]
    assert verbs[0] == verbs[1]


def test_the_drawing_of_the_house_is_its_contract() -> None:
    (drawn,) = [lines for kind, lines in blocks("docs/architecture.md") if kind == "layers"]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    assert drawn == contracts[0]["layers"]


def test_every_built_room_has_its_line_in_the_drawing() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = sorted(folder.parent.name for folder in (ROOT / "src" / "hanmo").glob("*/__init__.py"))
    assert sorted(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == rooms
