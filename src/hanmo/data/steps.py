"""How a data set was made, a sentence for each step, from its settings and counts alone.

In: the manifest and what was found. Out: (step, sentence) in the order in which a text goes through them, in English or Chinese.
What was not done is said where a reader would wonder.
"""

from collections.abc import Mapping
from typing import Any

from hanmo.base.page import show
from hanmo.base.phrases import Phrases
from hanmo.data.findings import Findings

CHANGES = ("boilerplate", "sentences_only", "lowercase", "remove_punctuation", "remove_stop_words")


def steps(manifest: Mapping[str, Any], found: Findings, say: Phrases) -> list[tuple[str, str]]:
    """Every step by name, with what was done."""
    settings = manifest["settings"]
    sentences = {
        "step_reading": _reading(settings, found, say),
        "step_cleaning": _cleaning(settings, say),
        "personal": say(f"redact_{settings['redact']['mode']}", kinds=say.joined(settings["redact"]["kinds"])),
        "step_filters": _filters(settings["filters"], say),
        "duplicates": _duplicates(settings["duplicates"], say),
        "contamination": _contamination(manifest, say),
        "mixture": _mixture(settings["mix"], say),
        "step_split": split(settings, say),
        "augmented": _augmented(settings["augment"], say),
    }
    return [(say(name), sentence) for name, sentence in sentences.items() if sentence]


def split(settings: Mapping[str, Any], say: Phrases) -> str:
    """What a document's split depends on, as these settings have it."""
    if by := settings["split"]["group_by"]:
        return say("split_by_group", by=by)
    return say("split_by_cluster" if settings["duplicates"]["near"] else "split_by_text")


def _reading(settings: Mapping[str, Any], found: Findings, say: Phrases) -> str:
    undone = found.statistics.mojibake.inputs
    repair = say("repair_done", number=show(undone)) if settings["repair"] else say("repair_off")
    return say.sentences([say("normal_form"), repair])


def _cleaning(settings: Mapping[str, Any], say: Phrases) -> str:
    clean, duplicates = settings["clean"], settings["duplicates"]
    done = [say("lines_removed", unit=say(f"unit_{duplicates['unit']}"), number=duplicates["lines"])] if duplicates["lines"] else []
    done += [say("chinese_converted", value=clean["chinese"])] if clean["chinese"] != "keep" else []
    done += [say(f"clean_{name}") for name in CHANGES if clean[name]]
    return say.sentences(done) if done else say("clean_nothing")


def _filters(filters: Mapping[str, Any], say: Phrases) -> str:
    if filters["none"]:
        return say("filters_none")
    wanted = [say("filters_languages", languages=say.joined(filters["languages"]))] if filters["languages"] else []
    return say.sentences([say("filters_preset", preset=filters["preset"]), *wanted])


def _duplicates(duplicates: Mapping[str, Any], say: Phrases) -> str:
    near = f"near_{duplicates['keep']}" if duplicates["near"] else "near_off"
    return say.sentences([say("exact_on" if duplicates["exact"] else "exact_off"), say(near, threshold=show(duplicates["threshold"]))])


def _contamination(manifest: Mapping[str, Any], say: Phrases) -> str:
    if not manifest["against"]:
        return say("contamination_off")
    share = manifest["settings"]["contamination"]["max_share"]
    names = say.joined(each["name"] for each in manifest["against"])
    return say("contamination_share" if share else "contamination_any", names=names, share=f"{share:.0%}")


def _mixture(mix: Mapping[str, Any], say: Phrases) -> str:
    return say("mixed", by=mix["by"], temperature=show(mix["temperature"]), repeats=mix["max_repeats"]) if mix["by"] else ""


def _augmented(augment: Mapping[str, Any], say: Phrases) -> str:
    number = augment["copies"]
    return say("augmented_by", number=number, names=say.joined(augment["operations"][:number])) if number else ""
