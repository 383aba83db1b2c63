"""Settings that nobody named become what suits the text, and it is said which and why; no torch here."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hanmo.base.config import read_toml
from hanmo.base.progress import say
from hanmo.base.runs import Run
from hanmo.base.runtime import available_cores
from hanmo.model.config import DecoderConfig
from hanmo.plan.defaults import Fitted, TextFacts, Training, fit
from hanmo.train.config import TrainConfig


def named_in(table: Mapping[str, Any]) -> set[str]:
    """Dotted names of all settings that a recipe's tables name.

    >>> sorted(named_in({"model": {"hidden_size": 64}, "name": "x"}))
    ['model.hidden_size', 'name']
    """
    names: set[str] = set()
    for key, value in table.items():
        names |= {f"{key}.{below}" for below in named_in(value)} if isinstance(value, Mapping) else {key}
    return names


def named_by(words: Sequence[str]) -> set[str]:
    """Dotted names of the settings that flags name.

    >>> sorted(named_by(["--model.hidden-size", "64", "--train.max-steps=9", "--model.no-qk-norm"]))
    ['model.hidden_size', 'model.qk_norm', 'train.max_steps']
    """
    flags = (word[2:].partition("=")[0].replace("-", "_") for word in words if word.startswith("--"))
    return {flag.replace(".no_", ".") for flag in flags}


def still_free(fitted: Collection[str], words: Sequence[str]) -> tuple[str, ...]:
    """Of the settings that may follow the text, those that no flag names."""
    named = named_by(words)
    return tuple(key for key in fitted if key not in named)


def check_end(train: TrainConfig, fitted: Collection[str]) -> None:
    """Raise ConfigError when nothing would ever stop the run; the text gives it steps where it may."""
    if "train.max_steps" not in fitted or train.objective.name != "next_token":
        train.check_limits()


def fitted_to_text(
    model: DecoderConfig, train: TrainConfig, free: Collection[str], train_tokens: int, folder: Run | None = None
) -> tuple[DecoderConfig, TrainConfig, Fitted | None]:
    """The network and its training with every free setting chosen; as before where a run was begun in the folder."""
    if not free or not train_tokens or train.objective.name != "next_token":
        return model, train, None
    if folder is not None and folder.config.exists():
        values = _chosen_before(read_toml(folder.config), free)
        return _with(model, values, "model"), _with(train, values, "train"), None
    context = train.context_length or model.max_position_embeddings
    steps = train.max_steps or math.ceil(train.max_tokens / (train.batch_size * context))
    training = Training(
        batch_size=train.batch_size,
        context_length=context,
        optimizer=train.optimizer,
        warmup_steps=train.warmup_steps,
        max_steps=steps,
    )
    text = TextFacts(train_tokens=train_tokens, minutes=train.max_minutes, cores=available_cores())
    found = fit(free, model, training, text)
    return _with(model, found.values, "model"), _with(train, found.values, "train"), found


def tell(found: Fitted) -> None:
    """Say what was chosen, a line a reason."""
    for reason in found.reasons:
        say(f"for this text: {reason}")
    if found.reasons:
        say("(settings that a recipe or a flag names are never changed; --fitted with nothing behind it leaves all as they are)")


def _chosen_before(config: Mapping[str, Any], free: Collection[str]) -> dict[str, Any]:
    """The free settings as the run's own config.toml has them."""
    flat = {f"{section}.{key}": value for section in ("model", "train") for key, value in config.get(section, {}).items()}
    return {key: flat[key] for key in free if key in flat}


def _with(config: Any, values: Mapping[str, Any], section: str) -> Any:
    """A section with those of the values that are its own."""
    own = {key.partition(".")[2]: value for key, value in values.items() if key.startswith(f"{section}.")}
    return replace(config, **own) if own else config
