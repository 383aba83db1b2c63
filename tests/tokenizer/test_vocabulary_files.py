"""A folder without tokenizer.json gives the ids of transformers, whatever files its tokenizer came in."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import transformers
from tests.tokenizer.conftest import SPACE, field, pairs, pieces, sentencepiece_file

from hanmo.base.errors import ModelError
from hanmo.tokenizer.chat import Chat
from hanmo.tokenizer.config import TokenizerConfig
from hanmo.tokenizer.load import EOT, Tokenizer
from hanmo.tokenizer.train import train_tokenizer

TEXTS = ["the rain in the plain, it's 1234 drops", "  Two  blanks ", "雨下在山上，山上有雨。", "x\n\n\tso É é", "", "<s> typed </s>"]
SHARED = Path("/work/shared/data/sentencepiece_data/test_model.model")


def folder(place: Path, model_type: str, files: Mapping[str, object], **settings: object) -> Path:
    place.mkdir()
    for name, content in {**files, "config.json": {"model_type": model_type}, "tokenizer_config.json": settings}.items():
        data = content if isinstance(content, bytes) else content.encode() if isinstance(content, str) else json.dumps(content).encode()
        (place / name).write_bytes(data)
    return place


def framed(tokenizer: Tokenizer, text: str) -> list[int]:
    before, after = tokenizer.frame()
    return [*before, *tokenizer.encode(text).tolist(), *after]


def byte_pairs() -> tuple[dict[str, int], str]:
    """The two files of byte pairs, without special tokens."""
    model = train_tokenizer(TEXTS * 4, TokenizerConfig(vocab_size=320, pre_tokenizer="gpt2", digits_per_token=1)).form["model"]
    names = [name for name in model["vocab"] if name != EOT]
    merges = [each if isinstance(each, str) else " ".join(each) for each in model["merges"]]
    return {name: id for id, name in enumerate(names)}, "\n".join(["#version: 0.2", *merges, ""])


IM = [{"content": name, "special": True, "normalized": False} for name in (EOT, "<|im_start|>", "<|im_end|>")]
PAIRS: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "gpt2": ("GPT2Tokenizer", [EOT], {}),
    "gpt2 with a blank before a text": ("GPT2Tokenizer", [EOT], {"add_prefix_space": True}),
    "roberta": ("RobertaTokenizer", ["<s>", "</s>", "<pad>", "<unk>", "<mask>"], {}),
    "qwen2": ("Qwen2Tokenizer", [], {"eos_token": "<|im_end|>"}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_vocab_json_and_merges_txt_give_the_ids_of_their_makers(tmp_path: Path, name: str) -> None:
    kind, special, settings = PAIRS[name]
    vocabulary, merges = byte_pairs()
    vocabulary |= {each: len(vocabulary) + number for number, each in enumerate(special)}
    if name == "qwen2":
        settings = settings | {"added_tokens_decoder": {str(len(vocabulary) + number): each for number, each in enumerate(IM)}}
    files = {"vocab.json": vocabulary, "merges.txt": merges}
    place = folder(tmp_path / "m", name.split()[0], files, tokenizer_class=kind, **settings)
    ours, theirs = Tokenizer.load(place), transformers.AutoTokenizer.from_pretrained(place)
    assert ours.vocab_size == len(theirs) and ours.special_id("eos_token") == theirs.eos_token_id
    for text in TEXTS:
        assert framed(ours, text) == theirs(text, split_special_tokens=True)["input_ids"]
        assert ours.decode(ours.encode(text)).removeprefix(" " * ("blank" in name)) == text.removeprefix(" " * ("blank" in name))


@pytest.mark.parametrize("settings", [{}, {"do_lower_case": False}, {"strip_accents": False}, {"tokenize_chinese_chars": False}])
def test_vocab_txt_gives_the_ids_of_its_makers(tmp_path: Path, settings: dict[str, Any]) -> None:
    trained = train_tokenizer(TEXTS * 4, TokenizerConfig(kind="wordpiece", vocab_size=200))
    place = folder(tmp_path / "m", "bert", {"vocab.txt": "\n".join(trained.names()) + "\n"}, tokenizer_class="BertTokenizer", **settings)
    ours, theirs = Tokenizer.load(place), transformers.AutoTokenizer.from_pretrained(place)
    assert all(framed(ours, text) == theirs(text)["input_ids"] for text in TEXTS)
    assert [ours.special_id(role) for role in ("cls_token", "sep_token", "mask_token")] == [
        theirs.cls_token_id,
        theirs.sep_token_id,
        theirs.mask_token_id,
    ]


def llama_file(rules: bytes = field(3, 1) + field(4, 0)) -> bytes:
    """SentencePiece's byte pairs of the tests, in the order of their ids."""
    types = {"<unk>": 2, "<s>": 3, "</s>": 3}
    made = [(piece, -float(id), 6 if piece.startswith("<0x") else types.get(piece, 1)) for piece, id in pieces().items()]
    return sentencepiece_file(made, 2, trainer=field(35, 1), rules=rules)


@pytest.mark.parametrize("legacy", [None, True, False])
def test_a_sentencepiece_file_of_byte_pairs_speaks_as_transformers_does(tmp_path: Path, legacy: bool | None) -> None:
    said: dict[str, Any] = {} if legacy is None else {"legacy": legacy}
    template = "{% for m in messages %}{{ bos_token + '[INST] ' + m.content + ' [/INST]' + eos_token }}{% endfor %}"
    place = folder(tmp_path / "m", "llama", {"tokenizer.model": llama_file()}, chat_template=template, **said)
    theirs = transformers.LlamaTokenizer(vocab=pieces(), merges=pairs(), chat_template=template, **said)
    ours = Tokenizer.load(place)
    for text in TEXTS:
        assert ours.encode(text).tolist() == theirs(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    talk = [{"role": "user", "content": text} for text in TEXTS[:3]]
    assert Chat.load(place).encode(talk).ids.tolist() == theirs.apply_chat_template(talk, return_dict=False)
    assert ours.opening == [1] and ours.special_id("eos_token") == 2 and ours.unk_id is None


def test_a_file_without_a_blank_before_a_text_has_none(tmp_path: Path) -> None:
    place = folder(
        tmp_path / "m", "gemma3_text", {"tokenizer.model": llama_file(field(3, 0) + field(4, 0))}, bos_token="<s>", eos_token="</s>"
    )
    tokenizer = Tokenizer.load(place)
    assert [tokenizer.names()[id] for id in tokenizer.encode("the rain")] == ["the", SPACE + "rain"]
    assert all(tokenizer.decode(tokenizer.encode(text)) == text for text in TEXTS)


UNIGRAM = [*((name, 0.0, 3) for name in ("<pad>", "</s>")), ("<unk>", 0.0, 2), (SPACE, -2.0, 1)]
UNIGRAM += [
    (piece, -3.0 - 0.01 * id, 1) for id, piece in enumerate(["the", SPACE + "the", SPACE + "rain", "in", *"theraindlpo,'s1234"][:16])
]
UNIGRAM = list({piece: (piece, score, type_) for piece, score, type_ in UNIGRAM}.values())


def test_t5s_file_has_its_marks_of_gaps_behind_it(tmp_path: Path) -> None:
    place = folder(tmp_path / "m", "t5", {"spiece.model": sentencepiece_file(UNIGRAM, 1, trainer=field(40, 2))}, extra_ids=3)
    vocabulary = [(piece, score) for piece, score, _ in UNIGRAM] + [(f"<extra_id_{number}>", 0.0) for number in (2, 1, 0)]
    theirs = transformers.T5Tokenizer(vocab=vocabulary, extra_ids=3)
    ours = Tokenizer.load(place)
    assert ours.vocab_size == len(vocabulary) and ours.special()["<extra_id_0>"] == len(vocabulary) - 1
    for text in ("the rain in the plain", "  the  rain ", "it's 12", ""):
        assert framed(ours, text) == theirs(text)["input_ids"]
    assert len(vocabulary) - 1 not in ours.encode("<extra_id_0>").tolist()


@pytest.mark.parametrize("count", [-1, 1 << 40, "many", None])
def test_more_marks_of_gaps_than_there_can_be_are_refused(tmp_path: Path, count: object) -> None:
    with pytest.raises(ModelError, match=r"extra_ids \(="):
        Tokenizer.load(folder(tmp_path / "m", "t5", {"spiece.model": sentencepiece_file(UNIGRAM, 1)}, extra_ids=count))


def test_xlm_robertas_ids_are_moved_by_one(tmp_path: Path) -> None:
    own = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3), *UNIGRAM[3:]]
    place = folder(tmp_path / "m", "xlm-roberta", {"sentencepiece.bpe.model": sentencepiece_file(own, 1)})
    first = [(name, 0.0) for name in ("<s>", "<pad>", "</s>", "<unk>")]
    theirs = transformers.XLMRobertaTokenizer(vocab=[*first, *((piece, score) for piece, score, _ in own[3:]), ("<mask>", 0.0)])
    ours = Tokenizer.load(place)
    assert ours.special_id("mask_token") == theirs.mask_token_id == len(own) + 1
    assert all(framed(ours, text) == theirs(text)["input_ids"] for text in ("the rain in the plain", "it's 12 §"))


def test_marians_pair_cuts_by_the_source_and_numbers_by_vocab_json(tmp_path: Path) -> None:
    source = sentencepiece_file([("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3), *UNIGRAM[3:]], 1)
    target = sentencepiece_file([("<unk>", 0.0, 2), (SPACE + "pluie", -1.0, 1), (SPACE + "ra", -1.0, 1), ("ß", -2.0, 1)], 1)
    names = ["</s>", "<unk>", SPACE + "pluie", SPACE + "ra", "ß", *(piece for piece, _, type_ in UNIGRAM if type_ == 1), ">>fra<<", "<pad>"]
    ids = {name: id for id, name in enumerate(names)}
    tokenizer = Tokenizer.load(folder(tmp_path / "m", "marian", {"source.spm": source, "target.spm": target, "vocab.json": ids}))
    assert framed(tokenizer, ">>fra<< the rain") == [ids[">>fra<<"], ids[SPACE + "the"], ids[SPACE + "rain"], 0]
    assert [names[id] for id in tokenizer.encode("rat")] == [SPACE, "r", "a", "t"]  # "▁ra" is the target's, whatever its score
    assert [names[id] for id in tokenizer.encode("the ß §")] == [SPACE + "the", SPACE, "ß", SPACE, "<unk>"]
    assert tokenizer.decode([ids[SPACE + "pluie"], ids[SPACE + "the"], 0]) == "pluie the"
    assert tokenizer.special_id("pad_token") == len(names) - 1


def test_tokens_that_the_other_files_add_have_their_ids(tmp_path: Path) -> None:
    vocabulary, merges = byte_pairs()
    size = len(vocabulary)
    files = {"vocab.json": vocabulary, "merges.txt": merges, "added_tokens.json": {"<b>": size + 1, "<a>": size}}
    files["special_tokens_map.json"] = {"eos_token": {"content": "<a>", "lstrip": False}}
    tokenizer = Tokenizer.load(folder(tmp_path / "m", "gpt2", files))
    assert tokenizer.added() == {"<a>": size, "<b>": size + 1} and tokenizer.special() == {"<a>": size}
    files["added_tokens.json"] = {"<a>": size + 7}
    with pytest.raises(ModelError, match=rf"'<a>' should have the id {size + 7}, its vocabulary gives it {size}"):
        Tokenizer.load(folder(tmp_path / "n", "gpt2", files))


def test_a_folder_that_was_read_so_is_saved_as_tokenizer_json_with_the_same_ids(tmp_path: Path) -> None:
    first = Tokenizer.load(folder(tmp_path / "m", "llama", {"tokenizer.model": llama_file()}))
    first.save(tmp_path / "saved")
    again, theirs = Tokenizer.load(tmp_path / "saved"), transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    for text in TEXTS[:5]:
        assert again.encode(text).tolist() == first.encode(text).tolist() == theirs(text, add_special_tokens=False)["input_ids"]
    assert again.opening == first.opening


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no tokenizer: tokenizer.json is missing"),
        ({"vocab.json": {"a": 0}}, "holds no tokenizer"),
        ({"vocab.json": {"a": 0}, "merges.txt": "a b\n"}, "its vocabulary cannot be read"),
        ({"vocab.json": {"a": 0, "a</w>": 1}, "merges.txt": ""}, "marks the ends of words"),
        ({"vocab.json": {"a": 0}, "merges.txt": b"\xff"}, "cannot be read as text"),
        ({"tokenizer.model": b"IQ== 0\n"}, "is no SentencePiece model"),
        ({"vocab.txt": "a\nb\n"}, "it lacks"),
        ({"source.spm": llama_file(), "target.spm": b"", "vocab.json": {"<unk>": 0}}, "is Marian's|not number its pieces"),
    ],
)
def test_files_that_are_no_tokenizer_are_one_line(tmp_path: Path, files: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        Tokenizer.load(folder(tmp_path / "m", "llama", files))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not SHARED.is_file(), reason=f"{SHARED} is not on this machine")
def test_ids_are_those_that_the_sentencepiece_library_gave(tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(folder(tmp_path / "m", "other", {"spiece.model": SHARED.read_bytes()}))
    assert tokenizer.encode("This is  a test of ｆｕｌｌ width.").tolist() == [284, 47, 11, 4, 15, 400, 14, 495, 102, 140, 95, 6]
    assert tokenizer.encode("Nobody had seen the old man, said the hotel.").tolist() == [
        283,
        419,
        64,
        150,
        24,
        7,
        183,
        293,
        5,
        108,
        7,
        603,
        6,
    ]
