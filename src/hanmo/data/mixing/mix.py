"""Groups of documents are mixed in chosen shares, and small ones repeated a stated number of times.

In: for each kept document its group, its size, and a place drawn from its text's hash. Out: how often it stands in the data.
The idea: shares follow p_i proportional to q_i^(1/T), where q_i is the group's size or its given weight (Conneau and Lample
2019, section 3.1, alpha = 1/T; Xue et al. 2021, section 3.2): T = 1 keeps the sizes, a larger T lifts small groups. A group
gives whole epochs and, of the rest, the documents first in the order of their places, without replacement; so neither
workers nor the order of inputs matter, and a document is chosen by its text and the seed.
Never here: no document's text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import ConfigError, DataError


@dataclass(frozen=True, kw_only=True)
class MixConfig:
    """Shares of groups in the data."""

    by: str = ""
    """What makes a group: source, language, domain (the host in a kept column url), or a column named in read.keep_columns;
    empty for no mixing."""
    weights: dict[str, float] = field(default_factory=dict[str, float])
    """Weight of each group by name, 0 to leave it out; none given: the groups' sizes."""
    temperature: float = 1.0
    """T in p proportional to weight^(1/T): above 1 small groups gain."""
    total_documents: int = 0
    """Documents to take, repeats counted; 0 for as many as the shares allow."""
    total_bytes: int = 0
    """Bytes to take, repeats counted, instead of documents; sizes are then bytes as well."""
    max_repeats: int = 1
    """Most times that one document may stand in the training data."""
    seed: int = 0
    """Another seed chooses other documents."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises ConfigError naming the key.
        """
        if not self.temperature > 0:
            raise ConfigError(f"mix.temperature (={self.temperature:g}) should be above 0")
        if self.max_repeats < 1:
            raise ConfigError(f"mix.max_repeats (={self.max_repeats}) should be at least 1")
        if min(self.total_documents, self.total_bytes) < 0 or (self.total_documents and self.total_bytes):
            raise ConfigError(
                f"mix.total_documents (={self.total_documents}) and mix.total_bytes (={self.total_bytes}): give one of them, above 0"
            )
        for name, weight in self.weights.items():
            if not 0 <= weight < float("inf"):
                raise ConfigError(f"mix.weights.{name} (={weight}) should be at least 0")
        if self.weights and not any(self.weights.values()):
            raise ConfigError("mix.weights are all 0: give at least one group a weight")
        chosen = self.weights or self.total_documents or self.total_bytes or self.temperature != 1 or self.max_repeats != 1
        if chosen and not self.by:
            raise ConfigError('mix.by is missing: name what makes a group, such as mix.by = "source"')


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupShare:
    """What became of one group: documents and bytes it had, the share wanted, documents and bytes taken, repeats counted."""

    group: str
    documents: int
    bytes: int
    wanted: float
    taken_documents: int
    taken_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """For each document how often it stands in the data (0: mixed out) and the place behind which its group was cut."""

    times: NDArray[np.int32]
    cuts: NDArray[np.float64]
    shares: tuple[GroupShare, ...]


def shares_of(sizes: Mapping[str, float], config: MixConfig) -> dict[str, float]:
    """p_i proportional to q_i^(1/T) over the groups, q_i the weight given or the size.

    Raises DataError when the weights name a group that is not there, or leave one out.

    >>> shares_of({"en": 900, "zh": 100}, MixConfig(by="language", temperature=2))
    {'en': 0.75, 'zh': 0.25}
    """
    known = ", ".join(sizes)
    for name in config.weights:
        if name not in sizes:
            raise DataError(f"mix.weights names {name!r}, and mix.by = {config.by!r} finds {known}: correct the name, or leave it out")
    for name in sizes if config.weights else ():
        if name not in config.weights:
            raise DataError(f"mix.weights says nothing of {name!r}: give it a weight, 0 to leave it out")
    weights = config.weights or sizes
    most = max(weights[name] for name in sizes)  # the largest counts as 1, so that no power overflows
    scaled = {name: (weights[name] / most) ** (1 / config.temperature) if weights[name] else 0.0 for name in sizes}
    total = sum(scaled.values())
    return {name: value / total for name, value in scaled.items()} if total else scaled


def amounts_of(sizes: Mapping[str, float], shares: Mapping[str, float], config: MixConfig) -> dict[str, float]:
    """How much to take of each group, in the unit of the sizes.

    No group gives more than max_repeats times its size; what it lacks, the others give in proportion to their shares. Without a
    total, the largest one at which every group has its share.
    """
    caps = {name: config.max_repeats * size for name, size in sizes.items()}
    total = float(config.total_documents or config.total_bytes)
    if not total:
        total = min(caps[name] / share for name, share in shares.items() if share)
        return {name: share * total for name, share in shares.items()}
    amounts: dict[str, float] = {}
    open_shares = {name: share for name, share in shares.items() if share}
    while open_shares:
        scale = (total - sum(amounts.values())) / sum(open_shares.values())
        full = [name for name, share in open_shares.items() if share * scale >= caps[name]]
        if not full:
            amounts |= {name: share * scale for name, share in open_shares.items()}
            break
        for name in full:
            amounts[name] = caps[name]
            del open_shares[name]
    return {name: amounts.get(name, 0.0) for name in sizes}


def whole_amounts(amounts: Mapping[str, float]) -> dict[str, int]:
    """Amounts as whole numbers with the same sum, by the largest remainders.

    >>> whole_amounts({"a": 3.3, "b": 3.3, "c": 3.4})
    {'a': 3, 'b': 3, 'c': 4}
    """
    floors = {name: int(amount + 1e-9) for name, amount in amounts.items()}
    missing = round(sum(amounts.values()) + 1e-9) - sum(floors.values())
    by_remainder = sorted(amounts, key=lambda name: (floors[name] - amounts[name], name))
    for name in by_remainder[: max(0, missing)]:
        floors[name] += 1
    return floors


def mix(
    names: Sequence[str], codes: NDArray[np.int32], sizes_in_bytes: NDArray[np.int64], places: NDArray[np.float64], config: MixConfig
) -> Mixture:
    """How often each document stands in the data.

    names: the groups in ascending order; names of no document count for nothing. codes (which group), sizes_in_bytes, places: one value a
    document, in an order that does not depend on workers; `places` in [0, 1).
    """
    by_bytes = bool(config.total_bytes)
    units = sizes_in_bytes.astype(np.float64) if by_bytes else np.ones(len(codes))
    sums = np.bincount(codes, weights=units, minlength=len(names))
    there = np.flatnonzero(np.bincount(codes, minlength=len(names)))
    sizes = {names[code]: float(sums[code]) for code in there.tolist()}
    shares = shares_of(sizes, config)
    amounts: Mapping[str, float] = amounts_of(sizes, shares, config)
    if not by_bytes:
        amounts = whole_amounts(amounts)
    times = np.zeros(len(codes), dtype=np.int32)
    cuts = np.zeros(len(codes))
    facts: list[GroupShare] = []
    for code, name in zip(there.tolist(), sizes, strict=True):
        members = np.flatnonzero(codes == code)
        times[members], cuts[members] = _take(units[members], places[members], amounts[name])
        facts.append(
            GroupShare(
                group=name,
                documents=len(members),
                bytes=int(sizes_in_bytes[members].sum()),
                wanted=shares[name],
                taken_documents=int(times[members].sum()),
                taken_bytes=int((times[members] * sizes_in_bytes[members]).sum(dtype=np.int64)),
            )
        )
    return Mixture(times=times, cuts=cuts, shares=tuple(facts))


def _take(units: NDArray[np.float64], places: NDArray[np.float64], amount: float) -> tuple[NDArray[np.int32], float]:
    """Whole epochs of a group and then the documents with the smallest places; gives times and the place of the last one."""
    epochs, rest = divmod(amount, units.sum()) if units.sum() else (0.0, 0.0)
    times = np.full(len(units), int(epochs), dtype=np.int32)
    order = np.argsort(places, kind="stable")
    count = int(np.count_nonzero(np.cumsum(units[order]) <= rest + units.mean() / 2)) if rest else 0
    times[order[:count]] += 1
    return times, float(places[order[count - 1]]) if count else 0.0
