"""Folders that other tools write and that are no model as it is read here: each is called what it is, with the way out.

In: a folder, its config.json, the names and types of its tensors. Out: an error in one line, or nothing. Quantised weights are told by
their tensors, as a config.json that speaks of quantisation may stand beside plain weights.
"""

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from hanmo.base.errors import ModelError, StorageError
from hanmo.base.storage import read_json

METHODS = {
    "gptq": "GPTQ",
    "awq": "AWQ",
    "bitsandbytes": "bitsandbytes",
    "fp8": "fp8",
    "fbgemm_fp8": "fp8",
    "compressed-tensors": "compressed-tensors",
    "modelopt": "ModelOpt",
    "mxfp4": "MXFP4",
    "hqq": "HQQ",
    "auto-round": "AutoRound",
}
"""Words of `quantization_config.quant_method`, and what people call them."""
WHILE_LOADING = ("bitsandbytes", "hqq", "quanto", "eetq", "torchao")
"""Methods that other tools can apply to plain weights as they load them."""
MARKS = (
    (".qweight", "GPTQ or AWQ"),
    (".absmax", "bitsandbytes"),
    (".SCB", "bitsandbytes"),
    (".weight_packed", "compressed-tensors"),
    (".weight_scale_inv", "fp8"),
    (".weight_scale", "fp8"),
    (".scales", "MLX"),
)
"""Ends of names that only quantised weights have."""
POINTER = b"version https://git-lfs"
FILES = (
    ("model_index.json", "a diffusion pipeline (diffusers), which makes no text"),
    (
        "params.json",
        "a model in its maker's own form (params.json): take its Hugging Face form, whose config.json stands beside the weights",
    ),
    ("*.onnx", "a model compiled for ONNX: take the folder that it was made from"),
    ("onnx/*.onnx", "a model compiled for ONNX: take the folder that it was made from"),
    ("openvino_model.xml", "a model compiled for OpenVINO: take the folder that it was made from"),
    ("tf_model.h5", "TensorFlow weights: load them in transformers with from_tf=True and save them as safetensors"),
    ("flax_model.msgpack", "Flax weights: load them in transformers with from_flax=True and save them as safetensors"),
    ("*.nemo", "a NeMo archive: export it to the Hugging Face form with NeMo first"),
)
"""Files that a folder of another form has, and what it is then."""


def refuse_pointer(path: Path) -> None:
    """Raise ModelError for what Git leaves in the place of a large file that was not fetched."""
    with path.open("rb") as stream:
        if stream.read(len(POINTER)) == POINTER:
            raise ModelError(f"{path} is a pointer of Git LFS, not the file itself: say git lfs pull in its folder, or fetch it again")


def refuse_other_form(folder: Path) -> None:
    """Raise ModelError in one line for a folder of another form; for one that lacks config.json or weights that are read."""
    adapter = folder / "adapter_config.json"
    if adapter.is_file():
        raise ModelError(_adapter(folder, adapter))
    if any(folder.glob("*.bin")):
        return  # weights for PyTorch stand beside: what is wrong is that they are pickled
    for pattern, words in FILES:
        if any(folder.glob(pattern)):
            raise ModelError(f"{folder} holds {words}")


def _adapter(folder: Path, path: Path) -> str:
    try:
        about = read_json(path)
    except StorageError as error:
        return f"{folder} holds an adapter that cannot be read: {error}"
    if "fine_tune_type" in about:
        return f"{folder} holds an adapter of MLX for {_told(about.get('model'))}, no model: join them with mlx_lm.fuse --dequantize first"
    kind, model = _told(about.get("peft_type")), _told(about.get("base_model_name_or_path"))
    return (
        f"{folder} holds an adapter ({kind}) for {model}, no model: join them with peft "
        f"first (AutoPeftModelForCausalLM.from_pretrained(FOLDER).merge_and_unload().save_pretrained(NEW)) and give the new folder"
    )


def _told(value: object) -> str:
    """A word from a file, short and in one line."""
    return json.dumps(value, ensure_ascii=True).strip('"')[:80] if value else "a model that it does not name"


def refuse_quantized(folder: Path, values: Mapping[str, object], kinds: Mapping[str, str]) -> None:
    """Raise ModelError where the tensors (names with their types, as safetensors call them) are those of a quantised model."""
    if (method := _method(folder, values, kinds)) is None:
        return
    source = _made_from(folder)
    raise ModelError(
        f"{folder} holds weights quantised by {method}, which are not read here: take the model that they were made from"
        f"{f' ({source})' if source else ''}, which --precision int8 or int4 makes as small, or a GGUF file of it"
    )


def without_wishes(values: Mapping[str, object]) -> Mapping[str, object]:
    """A config.json whose weights are plain, without the wish that they be quantised while they are loaded."""
    said = values.get("quantization_config")
    wish = isinstance(said, dict) and said.get("quant_method") in WHILE_LOADING
    return {key: value for key, value in values.items() if not (wish and key == "quantization_config")}


def _method(folder: Path, values: Mapping[str, object], kinds: Mapping[str, str]) -> str | None:
    mark = next((words for end, words in MARKS if any(name.endswith(end) for name in kinds)), None)
    eight = any(kind.startswith("F8") for kind in kinds.values())
    if mark is None and not eight:
        return None
    said = values.get("quantization_config")
    method = said.get("quant_method") if isinstance(said, dict) else None
    if isinstance(method, str):
        return METHODS.get(method) or _told(method)
    if mark == "GPTQ or AWQ":
        return _packed(folder, kinds)
    return mark or "fp8"


def _packed(folder: Path, names: Collection[str]) -> str:
    """Which of the two that call their integers `qweight`: one keeps the order of inputs beside them."""
    return "GPTQ" if (folder / "quantize_config.json").is_file() or any(name.endswith(".g_idx") for name in names) else "AWQ"


def _made_from(folder: Path) -> str | None:
    """The model that README.md names as the one it was made from."""
    try:
        text = (folder / "README.md").read_text("utf-8", "replace")[:20000]
    except OSError:
        return None
    found = re.search(r"^base_model:\s*(?:-\s*)?[\"']?([\w.-]{1,96}/[\w.-]{1,96})", text, re.MULTILINE)
    return found[1] if found else None
