"""Out and back: the same numbers; transformers reads what we write; real weights answer as they do elsewhere."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tests.convert.conftest import METADATA, model_folder, outgoing
from tests.model.families.conftest import GEMMA3, GPT2, SMALL
from tests.tokenizer.conftest import pairs, pieces

from hanmo.base.errors import ModelError
from hanmo.base.storage import read_json, write_json
from hanmo.convert.gguf import export_gguf, import_gguf, read_decoder
from hanmo.convert.gguf_reader import GgufFile
from hanmo.convert.gguf_writer import write_gguf
from hanmo.convert.sources import local_model
from hanmo.data.catalogue import ENTRIES, find
from hanmo.generate.loaded import TextModel
from hanmo.generate.reader import make_reader
from hanmo.model.config import RopeScaling
from hanmo.model.decoder import Decoder
from hanmo.model.store import load_model, read_generation, save_model
from hanmo.tokenizer.chat import Chat, read_template
from hanmo.tokenizer.load import Tokenizer

CONFIGS = {
    "llama": dataclasses.replace(SMALL, num_key_value_heads=2, tie_word_embeddings=False, rope_theta=50000.0),
    "llama with biases": dataclasses.replace(SMALL, attention_bias=True),
    "qwen2": dataclasses.replace(SMALL, num_key_value_heads=2, qkv_bias=True, rope_theta=1e6),
    "qwen3": dataclasses.replace(SMALL, num_key_value_heads=2, head_dim=16, qk_norm=True, rope_theta=1e6),
    "gemma3": GEMMA3,
    "gpt2": GPT2,
    "llama with llama3 positions": dataclasses.replace(
        SMALL, head_dim=24, rope_scaling=RopeScaling(rope_type="llama3", factor=4.0, original_max_position_embeddings=12), rope_theta=500.0
    ),
    "llama with linear positions": dataclasses.replace(SMALL, rope_scaling=RopeScaling(rope_type="linear", factor=3.0)),
    "qwen3 with yarn positions": dataclasses.replace(
        SMALL, qk_norm=True, rope_scaling=RopeScaling(rope_type="yarn", factor=2.0, original_max_position_embeddings=12)
    ),
    "gemma3 with linear positions": dataclasses.replace(GEMMA3, rope_scaling=RopeScaling(rope_type="linear", factor=3.0)),
}
MISTRAL = dataclasses.replace(SMALL, num_key_value_heads=2, sliding_window=24)
FOR_TRAINING = dict.fromkeys(("embedding_dropout", "attention_dropout", "hidden_dropout", "initializer_range"), 0.5)
IDS = torch.arange(36).view(3, 12)
TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
SMOL = find(ENTRIES["smollm2-135m-instruct"])
GEMMA = find(ENTRIES["gemma3-270m"])
QUESTIONS = [
    "What is the capital of France?",
    "Name three colours.",
    "Write one sentence about the sea.",
    "How many legs does a spider have?",
    "What is 7 plus 5?",
    "Give me a word that rhymes with cat.",
    "Who wrote Hamlet?",
    "What do bees make?",
    "Tell me a short joke.",
    "What is the opposite of hot?",
    "Translate 'good morning' into French.",
    "List two fruits.",
    "Why is the sky blue?",
    "What is a prime number?",
    "Is the Earth round?",
    "Write a haiku about rain.",
    "What is H2O?",
    "Which is larger, 9 or 12?",
    "How do I boil an egg?",
    "你好，你会说中文吗？",
]


def decoder(folder: Path) -> Decoder:
    network = load_model(folder)
    assert isinstance(network, Decoder)
    return network


@pytest.mark.parametrize("name", CONFIGS)
def test_out_as_f32_and_back_is_the_same_model(tmp_path: Path, name: str) -> None:
    folder = model_folder(tmp_path / "m", CONFIGS[name], TEMPLATE)
    export_gguf(folder, tmp_path / "m.gguf", "f32")
    import_gguf(tmp_path / "m.gguf", tmp_path / "back")
    one, other = decoder(folder), decoder(tmp_path / "back")
    assert dataclasses.replace(other.config, **FOR_TRAINING) == dataclasses.replace(one.config, **FOR_TRAINING)  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        assert (one(IDS) - other(IDS)).abs().max() <= 1e-5
    before, after = Tokenizer.load(folder), Tokenizer.load(tmp_path / "back")
    text = "the rain,  42 drops\n雨下在山上 <|endoftext|> \t é"
    assert before.encode(text).tolist() == after.encode(text).tolist() and after.decode(after.encode(text)) == text
    assert after.eot_id == before.eot_id and read_template(tmp_path / "back") == TEMPLATE
    assert read_generation(tmp_path / "back")["eos_token_id"] == before.eot_id


def test_a_turn_ends_in_a_file_as_in_a_folder(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m", SMALL)
    form, size = read_json(folder / "tokenizer.json"), Tokenizer.load(folder).vocab_size
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    form["added_tokens"].append({"id": size, "content": "<|im_end|>", "special": True, **flags})
    write_json(folder / "tokenizer.json", form)
    eot = Tokenizer.load(folder).eot_id
    export_gguf(folder, tmp_path / "m.gguf")
    written = GgufFile(tmp_path / "m.gguf")
    assert [written.metadata[f"tokenizer.ggml.{name}"] for name in ("eos_token_id", "eot_token_id")] == [eot, size]
    metadata = {key: value for key, value in written.metadata.items() if key != "tokenizer.ggml.eot_token_id"}
    write_gguf(tmp_path / "silent.gguf", metadata, {name: outgoing(written.read(name)) for name in written.tensors})
    import_gguf(tmp_path / "silent.gguf", tmp_path / "back")
    assert read_generation(tmp_path / "back")["eos_token_id"] == [eot, size] == TextModel(tmp_path / "back").end_ids


def test_a_llama_with_a_blank_before_a_text_only_goes_out_with_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = transformers.LlamaTokenizer(vocab=pieces(), merges=pairs(), chat_template="{{ bos_token + messages[0].content + eos_token }}")
    made.save_pretrained(tmp_path / "words")
    network = Decoder(dataclasses.replace(SMALL, vocab_size=len(pieces()), bos_token_id=1, eos_token_id=2)).eval()
    save_model(network, tmp_path / "m", tokenizer_folder=tmp_path / "words")
    facts = export_gguf(tmp_path / "m", tmp_path / "m.gguf", "f32")
    assert "a blank behind every special token" in capsys.readouterr().err
    assert all(row["equal"] for row in facts["parity"]) and GgufFile(tmp_path / "m.gguf").metadata["tokenizer.ggml.add_space_prefix"]  # pyright: ignore
    import_gguf(tmp_path / "m.gguf", tmp_path / "back")
    before, after = Tokenizer.load(tmp_path / "m"), Tokenizer.load(tmp_path / "back")
    assert before.encode("the rain in").tolist() == after.encode("the rain in").tolist()


def test_a_window_as_long_as_the_context_is_a_llama(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m", MISTRAL)
    export_gguf(folder, tmp_path / "m.gguf", "f32")
    ours = read_decoder(GgufFile(tmp_path / "m.gguf"))
    assert ours.config.sliding_window is None
    with torch.no_grad():
        assert (decoder(folder)(IDS) - ours(IDS)).abs().max() <= 1e-5


@pytest.mark.parametrize("name", [name for name in CONFIGS if "with" not in name])
def test_transformers_reads_what_we_write(tmp_path: Path, name: str) -> None:
    """It leaves Llama's biases and slowed-down positions out, and takes the usual sizes for granted where the file tells others."""
    gpt2 = {"intermediate_size": 0, "max_position_embeddings": 1024}
    usual = {"qwen3": {"head_dim": 128}, "gemma3": {"head_dim": 256}, "gpt2": gpt2}.get(name, {})
    folder = model_folder(tmp_path / "m", dataclasses.replace(CONFIGS[name], **usual))
    export_gguf(folder, tmp_path / "m.gguf")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="m.gguf", dtype=torch.float32).eval()
    ours = read_decoder(GgufFile(tmp_path / "m.gguf"))
    with torch.no_grad():
        assert (theirs(IDS).logits - ours(IDS)).abs().max() <= 1e-4


@pytest.mark.parametrize(
    ("factors", "theta", "message"),
    [(np.linspace(1, 9, 4), 1e4, "not Llama 3's"), (np.full(4, 2), 1e4, "not Llama 3's"), (np.full(4, 2), 10000, "contradicts itself")],
)
def test_divisors_of_frequencies_that_are_not_llama_3s_are_refused(tmp_path: Path, factors: np.ndarray, theta: float, message: str) -> None:
    export_gguf(model_folder(tmp_path / "m", SMALL), tmp_path / "m.gguf")
    file = GgufFile(tmp_path / "m.gguf")
    tensors = {name: outgoing(file.read(name)) for name in file.tensors} | {"rope_freqs.weight": outgoing(factors.astype(np.float32))}
    write_gguf(tmp_path / "lie.gguf", {**file.metadata, "llama.rope.freq_base": theta}, tensors)
    with pytest.raises(ModelError, match=message):
        read_decoder(GgufFile(tmp_path / "lie.gguf"))
    tensors["rope_freqs.weight"] = outgoing(np.ones(4, np.float32))
    write_gguf(tmp_path / "ones.gguf", file.metadata, tensors)
    assert read_decoder(GgufFile(tmp_path / "ones.gguf")).config.rope_scaling.rope_type == "default"


@pytest.mark.parametrize(("precision", "worst"), [("f16", 2e-2), ("q8_0", 0.5), ("q4_1", 8.0), ("q4_0", 8.0)])
def test_a_shorter_precision_stays_near(tmp_path: Path, precision: str, worst: float) -> None:
    folder = model_folder(tmp_path / "m", dataclasses.replace(SMALL, intermediate_size=64))
    facts = export_gguf(folder, tmp_path / "m.gguf", precision)  # pyright: ignore[reportArgumentType]
    file = GgufFile(tmp_path / "m.gguf")
    stored = {each.format.name for each in file.tensors.values()}
    assert (
        stored
        == {"f16": {"F16", "F32"}, "q8_0": {"Q8_0", "F32"}, "q4_1": {"Q4_1", "Q8_0", "F32"}, "q4_0": {"Q4_0", "Q8_0", "F32"}}[precision]
    )
    assert facts["tensors"] == len(file.tensors)
    with torch.no_grad():
        difference = (decoder(folder)(IDS) - read_decoder(file)(IDS)).abs().max()
    assert 0 < difference <= worst


def test_even_steps_are_kept_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = model_folder(tmp_path / "m", dataclasses.replace(SMALL, intermediate_size=64))
    export_gguf(folder, tmp_path / "m.gguf", "q4_1")
    import_gguf(tmp_path / "m.gguf", tmp_path / "even")
    export_gguf(tmp_path / "even", tmp_path / "again.gguf", "q4_1")
    one, other = GgufFile(tmp_path / "m.gguf"), GgufFile(tmp_path / "again.gguf")
    kept = [name for name, each in one.tensors.items() if each.format.name == "Q4_1"]
    assert kept and all(np.allclose(one.read(name), other.read(name), atol=1e-6) for name in kept)
    assert "even steps" not in capsys.readouterr().err
    export_gguf(tmp_path / "even", tmp_path / "four.gguf", "q4_0")
    assert "--precision q4_1 keeps them" in capsys.readouterr().err


def test_a_modelfile_stands_beside(tmp_path: Path) -> None:
    export_gguf(model_folder(tmp_path / "m", SMALL), tmp_path / "m.gguf")
    assert (tmp_path / "m.Modelfile").read_text() == "FROM ./m.gguf\nPARAMETER num_ctx 24\nPARAMETER temperature 0.5\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "relu"}, r"hidden_act \(=relu\) has no place in a GGUF file"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"sliding_window": 4}, r"sliding_window \(=4\) has no place .* \(max_position_embeddings = 24\)"),
        ({"sliding_window": 4, "qkv_bias": True, "layer_types": ("full_attention", "sliding_attention")}, r"llama.cpp's qwen2 sees all"),
        ({"norm": "layer_norm"}, "a hanmo_decoder model has no form in GGUF"),
    ],
)
def test_models_that_others_would_compute_otherwise_are_not_written(tmp_path: Path, change: dict[str, object], message: str) -> None:
    folder = model_folder(tmp_path / "m", dataclasses.replace(SMALL, **change))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ModelError, match=message):
        export_gguf(folder, tmp_path / "m.gguf")
    assert not (tmp_path / "m.gguf").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"general.architecture": "mamba"}, "the architecture 'mamba' is not read here"),
        ({"llama.block_count": 3}, "is missing"),
        ({"llama.embedding_length": 1 << 23}, "shape"),
        ({"llama.attention.head_count": 0}, "at least 1"),
        ({"llama.attention.head_count": "4"}, "whole number"),
        ({"llama.attention.head_count_kv": 3}, "heads"),
        ({"llama.attention.head_count_kv": [4, 2]}, "differs from layer to layer"),
        ({"llama.rope.dimension_count": 4}, "is not the width of a head"),
        ({"llama.expert_count": 8}, "mixture of experts"),
        ({"llama.feed_forward_length": 1}, "shape"),
        ({"tokenizer.ggml.model": "bert"}, "is not read here"),
        ({"tokenizer.ggml.pre": "unheard-of"}, "cuts texts in a way that is not known"),
        ({"tokenizer.ggml.token_type": [1]}, "one number for each token"),
        ({"tokenizer.ggml.bos_token_id": 5000}, "is none of the"),
        ({"tokenizer.ggml.eot_token_id": [1, 2]}, "is none of the"),
        ({"tokenizer.ggml.merges": ["zz yy"]}, "which tokenizer.ggml.tokens does not have"),
        ({"tokenizer.ggml.merges": ["alone"]}, "which tokenizer.ggml.tokens does not have"),
    ],
)
def test_a_file_that_lies_about_its_model_is_refused_in_one_line(tmp_path: Path, change: dict[str, object], message: str) -> None:
    export_gguf(model_folder(tmp_path / "m", SMALL), tmp_path / "m.gguf")
    file = GgufFile(tmp_path / "m.gguf")
    tensors = {name: outgoing(file.read(name)) for name in file.tensors}
    write_gguf(tmp_path / "lie.gguf", {**file.metadata, **change}, tensors)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ModelError, match=message) as caught:
        import_gguf(tmp_path / "lie.gguf", tmp_path / "out")
    assert "\n" not in str(caught.value) and "lie.gguf" in str(caught.value) and not (tmp_path / "out").exists()


def test_a_file_without_a_model_is_refused(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", METADATA, {"strange": outgoing(np.zeros((1, 2), np.float32))})
    with pytest.raises(ModelError, match="has no tensor 'strange'"):
        import_gguf(tmp_path / "m.gguf", tmp_path / "out")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(SMOL is None, reason="hanmo fetch smollm2-135m-instruct has not been run here")
def test_smollm2_gives_the_logits_and_answers_of_transformers() -> None:
    assert SMOL is not None
    folder = local_model("smollm2-135m-instruct")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(SMOL, gguf_file="smollm2-135m-instruct.gguf", dtype=torch.float32).eval()
    reference = transformers.AutoTokenizer.from_pretrained(SMOL, gguf_file="smollm2-135m-instruct.gguf")
    ours, chat = decoder(folder), Chat.load(folder)
    equal = 0
    for question in QUESTIONS:
        messages = [{"role": "user", "content": question}]
        ids = chat.encode(messages, answer=True).ids.tolist()
        assert ids == reference.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        with torch.no_grad():
            difference = (theirs(torch.tensor([ids])).logits - ours(torch.tensor([ids]))).abs().max().item()
            assert difference <= 1e-3
            answer = theirs.generate(torch.tensor([ids]), max_new_tokens=16, do_sample=False)[0, len(ids) :].tolist()
            equal += greedy(ours, ids, len(answer)) == answer
    assert equal == len(QUESTIONS)


BEGINNINGS = {
    "The capital of France is": "country of France",
    "Water boils at 100 degrees": "Celsius",
    "中国的首都是": "中国",
    "一年有十二个": "星期",
}
"""What a base model of this size says; llama.cpp on the same file says the same of the first two, and begins alike with the last."""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(GEMMA is None, reason="hanmo fetch gemma3-270m has not been run here")
def test_gemma_gives_the_logits_of_transformers_and_goes_on_in_chinese_and_english() -> None:
    assert GEMMA is not None
    folder = local_model("gemma3-270m")
    tokenizer, ours = Tokenizer.load(folder), decoder(folder)
    for text, wanted in BEGINNINGS.items():
        ids = [tokenizer.eot_id, *tokenizer.encode(text).tolist()]
        assert wanted in tokenizer.decode(greedy(ours, ids, 12)), text
    ids = [tokenizer.eot_id, *tokenizer.encode(" ".join(BEGINNINGS)).tolist()]
    theirs = transformers.AutoModelForCausalLM.from_pretrained(GEMMA, gguf_file=next(GEMMA.glob("*.gguf")).name, dtype=torch.float32)
    with torch.no_grad():
        assert (theirs.eval()(torch.tensor([ids])).logits - ours(torch.tensor([ids]))).abs().max() <= 1e-3


def greedy(network: Decoder, ids: list[int], count: int) -> list[int]:
    """The likeliest tokens one after another."""
    reader = make_reader(network, count)
    made: list[int] = []
    with torch.inference_mode():
        logits = reader.read([ids])
        while len(made) < count:
            made.append(int(logits[0].argmax()))
            logits = reader.read([[made[-1]]])
    return made
