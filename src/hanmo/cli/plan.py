"""`hanmo plan RECIPE`: parameters, FLOPs, memory, minutes, disk, money and energy, before anything runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import arg

from hanmo.base.progress import duration, size
from hanmo.base.runs import Run
from hanmo.cli.arguments import parse as parse_arguments
from hanmo.pipeline.fitting import still_free
from hanmo.pipeline.recipe import Recipe
from hanmo.plan.estimate import ASSUMPTIONS


@dataclass(frozen=True, kw_only=True)
class Options:
    """Forecast what a recipe will take on this machine, from formulas and from ten seconds of the real training step."""

    recipe: Annotated[Recipe, arg(name="")]
    """What would be done; any key can be changed by a dotted flag."""
    out: Path | None = None
    """Run folder whose prepared data and tokenizer are counted, when it exists."""
    price_per_hour: float | None = None
    """Price of this machine for one hour; the recipe's by default."""
    watts: float | None = None
    """Power it draws under load; the recipe's by default."""
    probe_seconds: float | None = None
    """How long the real step is tried, 0 not at all; the recipe's by default."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb."""
    options = parse_arguments(Options, words, "plan", whole="recipe")
    return replace(options, recipe=replace(options.recipe, fitted=still_free(options.recipe.fitted, words)))


def run(options: Options) -> dict[str, Any]:
    """Measure and forecast; gives what `plan.json` holds."""
    from hanmo.pipeline.forecast import forecast

    wishes = {name: value for name in ("price_per_hour", "watts", "probe_seconds") if (value := getattr(options, name)) is not None}
    recipe = replace(options.recipe, plan=replace(options.recipe.plan, **wishes))
    return {"name": recipe.name, **forecast(recipe, Run(options.out) if options.out else None)}


def show(result: dict[str, Any]) -> str:
    """The plan as a table for people."""
    said = result["forecast"]
    minutes = said["minutes"]
    rows = [
        ("parameters", f"{result['parameters']['total']:,}"),
        *((f"  {name}", f"{count:,}") for name, count in result["parameters"]["parts"].items()),
        ("FLOPs a token", f"{result['flops_per_token']:.3g} (forward {result['forward_flops_per_token']:.3g})"),
        ("FLOPs a step", f"{result['flops_per_step']:.3g} ({result['tokens_per_step']:,} tokens)"),
        ("FLOPs in all", "not known" if result["flops_per_run"] is None else f"{result['flops_per_run']:.3g} ({result['steps']:,} steps)"),
        *_show_readings(result["readings"]),
        ("speed", f"{result['tokens_per_second']:,.0f} tokens/s"),
        ("time", "not known" if minutes is None else duration(60 * minutes)),
        *((f"  {name}", duration(seconds)) for name, seconds in result["seconds"].items()),
        ("peak memory", f"{size(said['peak_memory_bytes'])} of {size(result['machine']['available_memory_bytes'])} available"),
        *((f"  {name}", size(held)) for name, held in result["memory"]["parts"].items()),
        ("disk", f"{size(said['disk_bytes'])} of {size(result['machine']['disk_free_bytes'])} free"),
        *([("money", f"{said['money']:.4g}")] if said["money"] is not None else []),
        *([("energy", f"{said['energy_kwh']:.4g} kWh")] if said["energy_kwh"] is not None else []),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}" for name, value in rows]
    if not result["fits"]:
        lines.append("this does not fit into the memory or the disk of this machine: lower train.micro_batch_size or the model's size")
    return "\n".join([*lines, *(f"- {ASSUMPTIONS[key][0].format(value=value)}" for key, value in result["assumptions"].items())])


def _show_readings(readings: dict[str, float | None]) -> list[tuple[str, str]]:
    """How often the text is read, and what one more time would be worth (Muennighoff et al. 2023)."""
    tokens, epochs = readings["train_tokens"], readings["epochs"]
    if not tokens or not epochs:
        return []
    said = f"{tokens:,.0f} tokens, read {epochs:.1f} times: worth {readings['worth_new_tokens']:,.0f} tokens read once"
    next_one = f"{readings['worth_of_next_reading']:.0%} of new text; less than half from {readings['epochs_that_pay']:.0f} epochs on"
    return [("training text", said), ("  one more epoch", next_one)]
