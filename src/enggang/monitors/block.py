"""The kernels on packed blocks: numpy arrays as the state holds them, in and out.

A block is cut in chunks that fit a core's cache; integers are cast before the kernel, since compilers vectorise float
kernels only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from enggang.monitors.config import ChannelConfig
from enggang.monitors.device import CompilePolicy, compiled
from enggang.monitors.schema import BELIEF, ArraySpec, pack, unpack
from enggang.monitors.update import (
    Belief,
    Limits,
    Moment,
    advance,
    evidence,
    expected,
    is_nan,
    neighbourhood,
    revise,
    smooth,
)
from enggang.types import AnyArray, FloatArray

#: Pixels a chunk: some ten float32 arrays of it stay within a core's cache.
CHUNK = 65_536
#: Pixels of an AOI from which a night repays compiling its kernels.
COMPILE_FROM = 100_000_000

_SPECS: Mapping[str, ArraySpec] = {spec.name: spec for spec in BELIEF}
_ODDS = _SPECS["log_odds"]


@dataclass(frozen=True, slots=True)
class Engine:
    """Where and how kernels run: a torch device, and whether to compile (see `device.compiled`)."""

    device: str = "cpu"
    compile: CompilePolicy = "never"
    pixels: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """One channel's view of one scene on one block.

    value: (y, x) float32 in the measure's unit, scene shift removed, NaN = not valid. coef: (k, y, x) int16 and sd:
    (y, x) uint16, packed with quantum `scale`; sd 0 = no baseline. basis: (k) float32.
    """

    channel: ChannelConfig
    value: FloatArray
    coef: NDArray[np.int16]
    sd: NDArray[np.uint16]
    scale: float
    basis: FloatArray


@dataclass(frozen=True, slots=True)
class Margins:
    """What a block needs of its neighbours, with a margin of one pixel: `ratio`: (y + 2, x + 2) float32, NaN = not
    valid; `log_odds`: (y + 2, x + 2) int16 as the state packs it; `weight` of the neighbours' evidence."""

    ratio: FloatArray
    log_odds: NDArray[np.int16]
    weight: float


def block_evidence(views: tuple[View, ...], engine: Engine) -> FloatArray:
    """Evidence of a scene on one block, summed over its channels: (y, x) float32, NaN = not valid."""
    shape = views[0].value.shape
    kernel = compiled(
        _evidence_kernel(tuple((v.channel, v.scale) for v in views)), engine.compile, engine.pixels >= COMPILE_FROM
    )
    flat = [(v.value.reshape(-1), v.coef.reshape(v.coef.shape[0], -1), v.sd.reshape(-1)) for v in views]
    bases = [torch.from_numpy(v.basis).to(engine.device) for v in views]
    out = np.empty(shape[0] * shape[1], np.float32)
    for start in range(0, out.size, CHUNK):
        part = slice(start, min(start + CHUNK, out.size))
        tensors = [_move(a[..., part], engine.device) for arrays in flat for a in arrays]
        out[part] = kernel(bases, tensors)[: part.stop - start].cpu().numpy()
    return out.reshape(shape)


def block_update(
    belief: Mapping[str, AnyArray], margins: Margins, moment: tuple[int, int], limits: Limits, engine: Engine
) -> tuple[str, ...]:
    """Apply one scene to the packed belief arrays of one block, in place; returns the names of those that changed.

    belief: state arrays by name, (y, x), packed, contiguous. moment: (day number, sensor bit).
    """
    rows, columns = belief["status"].shape
    height = max(1, CHUNK // columns)
    kernel = compiled(_advance_kernel(limits, margins.weight), engine.compile, engine.pixels >= COMPILE_FROM)
    before = {name: values.reshape(-1) for name, values in belief.items()}
    parts: list[_Active] = []
    for top in range(0, rows, height):
        span = slice(top, min(top + height, rows))
        wide = slice(span.start, span.stop + 2)
        strip = Margins(margins.ratio[wide], margins.log_odds[wide], margins.weight)
        found = _advance(belief, span, strip, (kernel, height, engine.device, moment[0], limits))
        parts.append(found)
    picked = np.concatenate([part.index for part in parts])
    old = {name: np.concatenate([part.old[name] for part in parts]) for name in Belief.names()}
    new = _revise(old, parts, Moment(torch.tensor(float(moment[0])), moment[1]), limits)
    changed = [name for name in Belief.names() if not np.array_equal(new[name], old[name])]
    for name in changed:
        before[name][picked] = new[name]
    seen = any(part.seen for part in parts)
    return tuple(name for name in Belief.names() if name in changed or (seen and name in _EVERYWHERE))


#: What an update may change on every pixel.
_EVERYWHERE = ("log_odds", "last_valid")


@dataclass(frozen=True, slots=True)
class _Active:
    """Pixels of a strip that need `revise`. index: flat in the block. old: packed belief before, by name. ratio, floor:
    (pixel) float32. seen: whether any pixel of the strip was seen clearly."""

    index: NDArray[np.int64]
    old: dict[str, AnyArray]
    ratio: FloatArray
    floor: FloatArray
    seen: bool


def _advance(
    belief: Mapping[str, AnyArray],
    span: slice,
    margins: Margins,
    how: tuple[Callable[..., tuple[Tensor, ...]], int, str, int, Limits],
) -> _Active:
    """`update.advance` on the rows `span` of a block, in place."""
    kernel, height, device, day, limits = how
    here = {name: values[span] for name, values in belief.items()}
    rows, columns = here["status"].shape
    floor = _floor(margins.log_odds, limits)
    inputs = [*(here[name] for name in ("log_odds", "last_valid", "status")), margins.ratio]
    tensors = [_tall(values, height + len(values) - rows).to(device) for values in inputs]
    above = floor if floor.dim() == 0 else _tall(floor.numpy(), height)
    results = kernel(*tensors, above.to(device), torch.tensor(float(day), device=device))
    odds, last, active, ratio = (t[:rows].cpu().numpy() for t in results)
    index = np.flatnonzero(active > 0)
    old = {name: values.reshape(-1)[index] for name, values in here.items()}
    np.copyto(here["log_odds"], odds, casting="unsafe")
    np.copyto(here["last_valid"], last, casting="unsafe")
    at = np.broadcast_to(floor.numpy(), (rows, columns)).reshape(-1)[index]
    return _Active(index + span.start * columns, old, ratio.reshape(-1)[index], at, bool((last == day).any()))


def _revise(
    old: Mapping[str, AnyArray], parts: Sequence[_Active], moment: Moment, limits: Limits
) -> dict[str, AnyArray]:
    """`update.revise` of the active pixels: packed belief by name, (pixel)."""
    values = {name: unpack(_SPECS[name], packed).astype(np.float32) for name, packed in old.items()}
    ratio, floor = (np.concatenate([getattr(part, name) for part in parts]) for name in ("ratio", "floor"))
    belief = Belief(**{name: torch.from_numpy(column) for name, column in values.items()})
    revised = revise(belief, torch.from_numpy(ratio), torch.from_numpy(floor), moment, limits)
    return {name: pack(_SPECS[name], getattr(revised, name).numpy()) for name in Belief.names()}


def _floor(packed: NDArray[np.int16], limits: Limits) -> Tensor:
    """`neighbourhood` of packed log-odds with a margin: (y, x) float32, or a scalar."""
    if not (packed > math.floor(limits.released / _ODDS.scale)).any():
        return torch.tensor(limits.prior)
    return neighbourhood(torch.from_numpy(unpack(_ODDS, packed)), limits)


@lru_cache(maxsize=32)
def _evidence_kernel(channels: tuple[tuple[ChannelConfig, float], ...]) -> Callable[..., Tensor]:
    def _kernel(bases: list[Tensor], tensors: list[Tensor]) -> Tensor:
        total = torch.full_like(tensors[0], torch.nan)
        for n, (channel, scale) in enumerate(channels):
            value, coef, sd = tensors[3 * n : 3 * n + 3]
            ratio = evidence(value - expected(bases[n], coef) * scale, sd * scale, channel)
            ratio = torch.where(sd > 0, ratio, torch.nan)
            both = torch.where(is_nan(ratio), total, total + ratio)
            total = torch.where(is_nan(total), ratio, both)
        return total

    return _kernel


@lru_cache(maxsize=32)
def _advance_kernel(limits: Limits, weight: float) -> Callable[..., tuple[Tensor, Tensor, Tensor, Tensor]]:
    fill, scale = float(_ODDS.fill), _ODDS.scale

    def _kernel(
        packed: Tensor, last_valid: Tensor, status: Tensor, ratio: Tensor, floor: Tensor, day: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        smoothed = smooth(ratio, weight)
        before = torch.where(packed == fill, torch.nan, packed * scale)
        after, seen, active = advance(before, last_valid, status, smoothed, floor, day, limits)
        stored = torch.where(is_nan(after), fill, torch.round(after / scale).clamp(-32767, 32767))
        # Activity as a float: compilers store booleans one by one.
        return stored, seen, torch.where(active, 1.0, 0.0), smoothed

    return _kernel


def _move(values: AnyArray, device: str) -> Tensor:
    """(…, pixel) as float32 on the device, padded to a whole chunk, so that a compiled kernel meets one shape."""
    missing = CHUNK - values.shape[-1]
    whole = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)]) if missing else values
    return torch.from_numpy(whole.astype(np.float32, copy=False)).to(device)


def _tall(values: AnyArray, height: int) -> Tensor:
    """(y, x) as float32, padded to `height` rows, for the same reason."""
    missing = height - values.shape[0]
    whole = np.pad(values, [(0, missing), (0, 0)]) if missing else values
    return torch.from_numpy(whole.astype(np.float32))
