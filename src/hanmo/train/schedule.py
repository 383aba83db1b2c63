"""The learning rate as a function of how far the run has come."""

import math

from hanmo.train.config import ScheduleName, TrainConfig


def used_share(config: TrainConfig, *, step: int, tokens: int, seconds: float) -> float:
    """How much of the tightest limit is used up, between 0 and 1; 0 where the run has no limit.

    A run limited by steps or tokens gets the same schedule every time; one limited by minutes follows the clock.
    """
    shares = [
        used / limit for used, limit in ((step, config.max_steps), (tokens, config.max_tokens), (seconds, config.max_minutes * 60)) if limit
    ]
    return min(1.0, max(shares, default=0.0))


def warmup(step: int, warmup_steps: int) -> float:
    """Linear rise from 1/warmup_steps at step 0 to 1 (Goyal et al. 2017, section 2.2)."""
    return min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0


def decay(name: ScheduleName, share: float, *, decay_share: float, floor: float) -> float:
    """Factor of the peak learning rate at `share` of the run.

    constant: 1; linear: 1 - share; cosine: (1 + cos(pi share)) / 2 (Loshchilov and Hutter 2017, eq. 5);
    wsd: 1 until the last `decay_share`, then linear (Hu et al. 2024, MiniCPM, section 4). All are lifted to end at `floor`.
    """
    match name:
        case "constant":
            return 1.0
        case "linear":
            fallen = 1.0 - share
        case "cosine":
            fallen = (1.0 + math.cos(math.pi * share)) / 2.0
        case "wsd":
            fallen = min(1.0, (1.0 - share) / decay_share)
    return floor + (1.0 - floor) * fallen


def learning_rate_factor(config: TrainConfig, *, step: int, tokens: int, seconds: float) -> float:
    """Factor of the peak learning rate for the coming step."""
    share = used_share(config, step=step, tokens=tokens, seconds=seconds)
    fallen = decay(config.schedule, share, decay_share=config.decay_share, floor=config.min_learning_rate_ratio)
    return warmup(step, config.warmup_steps) * fallen
