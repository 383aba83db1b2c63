from tests.model.families.conftest import CONFIGS

from hanmo.model import families
from hanmo.model.families.layout import Layout


def test_a_prefix_is_added_only_where_every_name_lacks_it() -> None:
    layout: Layout = families.layout_of(CONFIGS["llama"])
    assert layout.full_name("norm.weight", {"norm.weight": 0}) == "model.norm.weight"
    assert layout.full_name("lm_head.weight", {"norm.weight": 0, "lm_head.weight": 0}) == "lm_head.weight"
    assert layout.full_name("norm.weight", {"norm.weight": 0, "model.embed_tokens.weight": 0}) == "norm.weight"


def test_every_layout_names_the_class_that_reads_it() -> None:
    assert [layout.architecture for layout in families.LAYOUTS] == [
        "GPT2LMHeadModel",
        "LlamaForCausalLM",
        "MistralForCausalLM",
        "Qwen2ForCausalLM",
        "Qwen3ForCausalLM",
        "Gemma3ForCausalLM",
        "HanmoDecoder",
    ]
