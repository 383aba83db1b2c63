import json
from pathlib import Path

import pytest
import torch

from hanmo.base.errors import ModelError
from hanmo.model.pooling import Pooling, pool, read_pooling

STATES = torch.tensor([[[3.0, 0.0], [1.0, 8.0], [100.0, 100.0]], [[0.0, 2.0], [0.0, 4.0], [0.0, 6.0]]])
SEEN = torch.tensor([[True, True, False], [True, True, True]])


def folder(path: Path, *kinds: str, pooling: str = "mean_tokens") -> Path:
    modules = [{"idx": i, "path": f"{i}_{kind}" if kind == "Pooling" else "", "type": f"a.b.{kind}"} for i, kind in enumerate(kinds)]
    (path / "modules.json").write_text(json.dumps(modules))
    (path / "1_Pooling").mkdir()
    modes = dict.fromkeys(["cls_token", "mean_tokens", "max_tokens"], False) | {pooling: True}
    (path / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{mode}": on for mode, on in modes.items()}))
    return path


def test_the_mean_counts_seen_tokens_only_and_length_one_is_length_one() -> None:
    assert pool(STATES, SEEN, Pooling()).tolist() == [[2.0, 4.0], [0.0, 4.0]]
    assert pool(STATES, SEEN, Pooling(kind="cls")).tolist() == [[3.0, 0.0], [0.0, 2.0]]
    assert pool(STATES, SEEN, Pooling(kind="cls", normalize=True)).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert pool(STATES, SEEN, Pooling(kind="last")).tolist() == [[1.0, 8.0], [0.0, 6.0]]
    assert pool(0 * STATES, SEEN, Pooling(normalize=True)).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_a_folder_says_how_it_is_pooled(tmp_path: Path) -> None:
    assert read_pooling(tmp_path) == Pooling()
    folder(tmp_path, "Transformer", "Pooling", "Normalize", pooling="cls_token")
    assert read_pooling(tmp_path) == Pooling(kind="cls", normalize=True)
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_lasttoken": true}')
    assert read_pooling(tmp_path) == Pooling(kind="last", normalize=True)
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 128}')
    assert read_pooling(tmp_path) == Pooling(kind="cls", normalize=True, max_tokens=128)


@pytest.mark.parametrize(
    ("kinds", "pooling", "message"),
    [
        (("Transformer", "Pooling"), "max_tokens", "pooling_mode_max_tokens"),
        (("Transformer", "Pooling", "Dense"), "mean_tokens", "'Dense' is not done here"),
    ],
)
def test_what_is_not_done_is_refused(tmp_path: Path, kinds: tuple[str, ...], pooling: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_pooling(folder(tmp_path, *kinds, pooling=pooling))


@pytest.mark.parametrize(
    ("text", "message"), [("{}", "no list"), ("[", "cannot be read"), ('[{"type": "x.Pooling", "path": "../y"}]', "outside")]
)
def test_a_broken_list_of_modules_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "modules.json").write_text(text)
    with pytest.raises(ModelError, match=message):
        read_pooling(tmp_path)
