"""Evidence of one scene and the recursion of belief: tensors in, tensors out, pixel by pixel unless said otherwise.

Evidence: log-likelihood ratio cleared : forest of an observation x with baseline mean μ(t) and sd σ,

    LLR = ln [(1-ε)·C(x; μ+Δ, σ_c) + ε·u] − ln [(1-ε)·N(x; μ, σ) + ε·u],   |LLR| ≤ cap

where Δ < 0 is the shift that clearing brings, C is a normal density whose lower side may be wider (σ_far), and the
third class (cloud, shadow, wet soil) has density u and share ε: far from both, the ratio tends to 0, so one strange
observation never decides. Clearings are patches and noise is not: the mean evidence of the eight neighbours is added
with a weight. Belief: log-odds L ← clip(L + LLR, floor, ceiling). The floor is the prior, raised where neighbours are
believed cleared; falling back to it means that a change may begin at any time, as in the one-sided sequential test of
Page (1954) and in the Bayesian bayts/RADD updating (Reiche et al. 2015, 2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from enggang.monitors.config import BeliefConfig, ChannelConfig, logit
from enggang.types import PixelStatus

_SQRT_2PI = math.sqrt(2 * math.pi)
#: As plain numbers: the compiler traces no enumerations.
_FOREST, _FLAGGED, _PROVISIONAL, _CONFIRMED = (
    float(s) for s in (PixelStatus.FOREST, PixelStatus.FLAGGED, PixelStatus.PROVISIONAL, PixelStatus.CONFIRMED)
)


@dataclass(frozen=True, slots=True)
class Belief:
    """Belief of some pixels; all fields are float32 tensors of one shape.

    log_odds: natural log-odds of cleared, NaN = never updated. status: `PixelStatus`. Days since 2014-12-31 (0 = none):
    first_disturbed, flagged_on, confirmed_on, last_valid. observations: valid ones since first_disturbed. sensors:
    bits of `SENSOR_BIT`.
    """

    log_odds: Tensor
    status: Tensor
    first_disturbed: Tensor
    flagged_on: Tensor
    confirmed_on: Tensor
    last_valid: Tensor
    observations: Tensor
    sensors: Tensor

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Field names, which are also the names of the state arrays."""
        return tuple(f.name for f in fields(cls))


@dataclass(frozen=True, slots=True)
class Limits:
    """`BeliefConfig` in log-odds, ready for the kernel."""

    prior: float
    ceiling: float
    flagged: float
    provisional: float
    confirmed: float
    released: float
    neighbour_weight: float
    confirm_observations: int
    expire_days: int

    @classmethod
    def of(cls, config: BeliefConfig) -> Limits:
        """The limits of a validated config."""
        names = ("prior", "ceiling", "flagged", "provisional", "confirmed", "released")
        return cls(
            **{name: logit(getattr(config, name)) for name in names},
            neighbour_weight=config.neighbour_weight,
            confirm_observations=config.confirm_observations,
            expire_days=config.expire_days,
        )


@dataclass(frozen=True, slots=True)
class Moment:
    """When and by what a scene was seen. `day`: scalar float32 tensor, days since 2014-12-31 (a tensor, so that one
    compiled kernel serves every date); `sensor_bit`: of `SENSOR_BIT`."""

    day: Tensor
    sensor_bit: int


#: Log-odds are kept in steps of 0.01; half a step tells "above the prior" from rounding.
_EPSILON = 0.005


def is_nan(values: Tensor) -> Tensor:
    """Where float32 `values` are NaN: (…) bool. Compilers vectorise this comparison, but not `torch.isnan`."""
    return values != values


def expected(basis: Tensor, coef: Tensor) -> Tensor:
    """Baseline mean μ(t) in the measure's unit: basis (k) and coef (k, …) float32 → (…) float32."""
    mean = basis[0] * coef[0]
    for term in range(1, coef.shape[0]):
        mean = mean + basis[term] * coef[term]
    return mean


def evidence(residual: Tensor, sd: Tensor, channel: ChannelConfig) -> Tensor:
    """The ratio of the module's formula for `residual` = x − μ(t) and `sd`, both in the measure's unit: float32.

    NaN where either is NaN.
    """
    c = channel
    inverse = 1.0 / sd.clamp(c.sd_min, c.sd_max)
    forest = torch.exp(-0.5 * (residual * inverse).square()) * inverse
    near, far = (-0.5 / spread**2 for spread in (c.cleared_sd, c.cleared_far_sd or c.cleared_sd))
    apart = residual - c.shift
    slope = near if near == far else torch.where(apart < 0, far, near)
    cleared = torch.exp(apart.square() * slope) * (1.0 / c.cleared_sd)
    third = _SQRT_2PI * c.outlier_share * c.outlier_density / (1.0 - c.outlier_share)
    return torch.log((cleared + third) / (forest + third)).clamp(-c.cap, c.cap)


def smooth(ratio: Tensor, weight: float) -> Tensor:
    """Add `weight` × the mean evidence of the valid ones among the eight neighbours.

    ratio: (y + 2, x + 2) float32 with a margin of one pixel, NaN = not valid. Returns (y, x), NaN where it was.
    """
    inner = ratio[1:-1, 1:-1]
    if weight == 0.0:
        return inner
    valid = ~is_nan(ratio)
    filled = torch.where(valid, ratio, 0.0)
    count = box_sum(valid.to(ratio.dtype)) - valid[1:-1, 1:-1].to(ratio.dtype)
    around = (box_sum(filled) - filled[1:-1, 1:-1]) / count.clamp(min=1.0)
    return inner + weight * around


def neighbourhood(log_odds: Tensor, limits: Limits) -> Tensor:
    """The floor of belief: the prior, raised by the share of the eight neighbours that are believed cleared.

    log_odds: (y + 2, x + 2) float32 with a margin of one pixel, NaN = never updated. Returns (y, x), or a scalar where
    no pixel is above `released`, which is most blocks on most nights: the cascade's first step.
    """
    above = log_odds > limits.released
    prior = torch.tensor(limits.prior, dtype=log_odds.dtype, device=log_odds.device)
    if limits.neighbour_weight == 0.0 or not bool(above.any()):
        return prior
    cleared = torch.where(above, torch.sigmoid(log_odds), 0.0)
    return prior + limits.neighbour_weight * (box_sum(cleared) - cleared[1:-1, 1:-1]) / 8.0


def box_sum(values: Tensor) -> Tensor:
    """Sums over 3 × 3 windows: (y + 2, x + 2) → (y, x)."""
    rows = values[:-2] + values[1:-1] + values[2:]
    return rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]


def advance(
    odds: Tensor, last_valid: Tensor, status: Tensor, ratio: Tensor, floor: Tensor, day: Tensor, limits: Limits
) -> tuple[Tensor, Tensor, Tensor]:
    """The part of an update that touches every pixel; all float32 of one shape but `floor` and `day`, which may be
    scalars.

    Returns the new log-odds, the new day of the last valid observation, and which pixels (bool) need `revise`: those
    that are, or were, above the prior. Pixels that are outside or no forest, or whose ratio is NaN, stay as they are.
    """
    watched = ~is_nan(ratio) & (status <= _CONFIRMED)
    previous = torch.where(is_nan(odds), limits.prior, odds)
    moved = torch.maximum(previous + ratio, floor).clamp(max=limits.ceiling)
    active = watched & ((moved > floor) | (previous > limits.prior + _EPSILON))
    return torch.where(watched, moved, odds), torch.where(watched, day, last_valid), active


@dataclass(frozen=True, slots=True)
class Watch:
    """What a monitor of one channel holds of some pixels in memory; float32 tensors of one shape, on one device.

    coef: (k, …) and sd: the baseline in the measure's unit. log_odds, last_valid and status as in `Belief`. active:
    written by `step`, 1 where `revise` is needed, else 0.
    """

    coef: Tensor
    sd: Tensor
    log_odds: Tensor
    last_valid: Tensor
    status: Tensor
    active: Tensor


def step(watch: Watch, value: Tensor, moment: tuple[Tensor, Tensor], channel: ChannelConfig, limits: Limits) -> None:
    """One new image in one pass over memory: baseline, evidence and `advance`, in place and without neighbours.

    value: float32 like `watch.sd`, in the measure's unit, NaN = not valid. moment: the model's basis at the image's
    time, (k), and its day, a scalar. To be compiled, it is given its tensors, never arrays that need a cast: casts are
    not vectorised.
    """
    basis, day = moment
    ratio = evidence(value - expected(basis, watch.coef), watch.sd, channel)
    floor = torch.full((), limits.prior, dtype=value.dtype, device=value.device)
    odds, last_valid, active = advance(watch.log_odds, watch.last_valid, watch.status, ratio, floor, day, limits)
    watch.log_odds.copy_(odds)
    watch.last_valid.copy_(last_valid)
    watch.active.copy_(torch.where(active, 1.0, 0.0))


def revise(belief: Belief, ratio: Tensor, floor: Tensor, moment: Moment, limits: Limits) -> Belief:
    """The rest of an update, for watched pixels above the prior. `belief` is the one before `advance`; `ratio` is
    float32 without NaN; `floor` is a scalar or like `ratio`. What confirmed a pixel is kept: its evidence is counted no
    further."""
    confirmed = belief.status == _CONFIRMED
    open_flag = (belief.status >= _FLAGGED) & ~confirmed
    expired = open_flag & (moment.day - belief.flagged_on > limits.expire_days)
    previous = torch.where(is_nan(belief.log_odds) | expired, limits.prior, belief.log_odds)
    odds = torch.maximum(previous + ratio, floor).clamp(max=limits.ceiling)
    suspect = (odds > floor) | confirmed
    starts = suspect & ((belief.first_disturbed == 0) | expired)
    seen = torch.where(starts, 1.0, (belief.observations + 1.0).clamp(max=255.0))
    bits = torch.where(starts, float(moment.sensor_bit), _with_bit(belief.sensors, moment.sensor_bit))
    fresh = replace(
        belief,
        log_odds=odds,
        last_valid=moment.day.expand_as(odds),
        first_disturbed=torch.where(suspect, torch.where(starts, moment.day, belief.first_disturbed), 0.0),
        observations=torch.where(confirmed, belief.observations, torch.where(suspect, seen, 0.0)),
        sensors=torch.where(confirmed, belief.sensors, torch.where(suspect, bits, 0.0)),
    )
    return _with_status(fresh, open_flag & ~expired, moment, limits)


def update(belief: Belief, ratio: Tensor, floor: Tensor, moment: Moment, limits: Limits) -> Belief:
    """Apply one scene's evidence: `advance` everywhere, then `revise` where there is something to revise.

    ratio: float32 like the belief, NaN = not seen clearly. floor: see `neighbourhood`; a scalar or like `ratio`.
    """
    odds, last_valid, active = advance(
        belief.log_odds, belief.last_valid, belief.status, ratio, floor, moment.day, limits
    )
    part = Belief(*(getattr(belief, name)[active] for name in Belief.names()))
    revised = revise(part, ratio[active], floor[active] if floor.dim() else floor, moment, limits)
    new = {name: getattr(belief, name).clone() for name in Belief.names()}
    new |= {"log_odds": odds, "last_valid": last_valid}
    for name, values in new.items():
        values[active] = getattr(revised, name)
    return Belief(**new)


def _with_status(belief: Belief, held: Tensor, moment: Moment, limits: Limits) -> Belief:
    """Status and its dates from the new log-odds. `held`: had an open flag that may go on below its threshold."""
    odds = belief.log_odds
    enough = belief.observations >= limits.confirm_observations
    status = torch.where((odds >= limits.flagged) | (held & (odds >= limits.released)), _FLAGGED, _FOREST)
    status = torch.where(odds >= limits.provisional, _PROVISIONAL, status)
    status = torch.where((odds >= limits.confirmed) & enough, _CONFIRMED, status)
    status = torch.where(belief.status == _CONFIRMED, _CONFIRMED, status)
    confirmed = status == _CONFIRMED
    begun = (belief.flagged_on > 0) & (held | (belief.status == _CONFIRMED))
    flagged_on = torch.where(begun, belief.flagged_on, moment.day)
    confirmed_on = torch.where(belief.confirmed_on > 0, belief.confirmed_on, moment.day)
    return replace(
        belief,
        status=status,
        flagged_on=torch.where(status >= _FLAGGED, flagged_on, 0.0),
        confirmed_on=torch.where(confirmed, confirmed_on, 0.0),
    )


def _with_bit(bits: Tensor, bit: int) -> Tensor:
    present = torch.remainder(torch.floor(bits / bit), 2.0) > 0
    return bits + torch.where(present, 0.0, float(bit))
