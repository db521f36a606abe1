"""The kernels on packed blocks: numpy arrays as the state holds them, in and out.

A block is cut in chunks that fit a core's cache; integers are cast before the kernel, since compilers vectorise float
kernels only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from enggang.monitors.config import ChannelConfig
from enggang.monitors.device import CompilePolicy, compiled
from enggang.monitors.schema import BELIEF, ArraySpec
from enggang.monitors.update import Belief, Limits, Moment, evidence, expected, neighbourhood, smooth, update
from enggang.types import AnyArray, FloatArray

#: Pixels a chunk: some twenty float32 arrays of it stay within a megabyte or two.
CHUNK = 16_384
#: Packing of evidence, as of log-odds: quantum and "not valid".
RATIO = ArraySpec("ratio", "int16", fill=-32768, scale=0.01)

_SPECS: Mapping[str, ArraySpec] = {spec.name: spec for spec in BELIEF}
_TORCH = {"int16": torch.int16, "uint8": torch.uint8, "uint16": torch.uint16}


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


def block_evidence(views: tuple[View, ...], engine: Engine) -> NDArray[np.int16]:
    """Evidence of a scene on one block, summed over its channels: (y, x) int16, packed as `RATIO`."""
    shape = views[0].value.shape
    kernel = compiled(_evidence_kernel(tuple((v.channel, v.scale) for v in views)), engine.compile, engine.pixels)
    flat = [(v.value.reshape(-1), v.coef.reshape(v.coef.shape[0], -1), v.sd.reshape(-1)) for v in views]
    bases = [torch.from_numpy(v.basis).to(engine.device) for v in views]
    out = np.empty(shape[0] * shape[1], np.int16)
    for part in _chunks(out.size):
        tensors = [_move(a[..., part], engine.device) for arrays in flat for a in arrays]
        out[part] = _saved(kernel(bases, tensors), "int16", out[part].size)
    return out.reshape(shape)


def block_update(
    belief: Mapping[str, AnyArray], margins: Margins, moment: tuple[int, int], limits: Limits, engine: Engine
) -> dict[str, AnyArray]:
    """The packed belief arrays of one block after one scene.

    belief: state arrays by name, (y, x), packed. moment: (day number, sensor bit).
    """
    shape = belief["status"].shape
    ratio = smooth(_unpacked(margins.ratio), margins.weight).contiguous().reshape(-1)
    floor = neighbourhood(_unpacked(margins.log_odds), limits)
    whole = floor.dim() > 0
    floors = floor.contiguous().reshape(-1)
    day = torch.tensor(float(moment[0]), device=engine.device)
    kernel = compiled(_update_kernel(limits, moment[1]), engine.compile, engine.pixels)
    flat = {name: belief[name].reshape(-1) for name in Belief.names()}
    out = {name: np.empty(ratio.numel(), _SPECS[name].dtype) for name in Belief.names()}
    for part in _chunks(ratio.numel()):
        size = len(range(*part.indices(ratio.numel())))
        tensors = [_move(flat[name][part], engine.device) for name in Belief.names()]
        here = _padded(floors[part].to(engine.device)) if whole else floors.to(engine.device)
        for name, tensor in zip(Belief.names(), kernel(tensors, _padded(ratio[part]), here, day), strict=True):
            out[name][part] = _saved(tensor, _SPECS[name].dtype, size)
    return {name: values.reshape(shape) for name, values in out.items()}


@dataclass(frozen=True, slots=True)
class Margins:
    """What a block needs of its neighbours: `ratio` and `log_odds`, (y + 2, x + 2) int16 packed with a margin of one
    pixel; `weight` of the neighbours' evidence."""

    ratio: NDArray[np.int16]
    log_odds: NDArray[np.int16]
    weight: float


@lru_cache(maxsize=32)
def _evidence_kernel(channels: tuple[tuple[ChannelConfig, float], ...]) -> Callable[..., Any]:
    def kernel(bases: list[Tensor], tensors: list[Tensor]) -> Tensor:
        total, seen = torch.zeros_like(tensors[0]), torch.zeros_like(tensors[0])
        for n, (channel, scale) in enumerate(channels):
            value, coef, sd = tensors[3 * n : 3 * n + 3]
            ratio = evidence(value - expected(bases[n], coef) * scale, sd * scale, channel)
            valid = ~torch.isnan(value) & (sd > 0)
            total = total + torch.where(valid, ratio, 0.0)
            seen = torch.maximum(seen, valid.to(total.dtype))
        packed = torch.round(total / RATIO.scale).clamp(-32767, 32767)
        return torch.where(seen > 0, packed, float(RATIO.fill))

    return kernel


@lru_cache(maxsize=32)
def _update_kernel(limits: Limits, sensor_bit: int) -> Callable[..., Any]:
    odds = _SPECS["log_odds"]

    def kernel(tensors: list[Tensor], ratio: Tensor, floor: Tensor, day: Tensor) -> list[Tensor]:
        packed = dict(zip(Belief.names(), tensors, strict=True))
        log_odds = torch.where(packed["log_odds"] == odds.fill, torch.nan, packed["log_odds"] * odds.scale)
        moment = Moment(day, sensor_bit)
        new = update(Belief(**{**packed, "log_odds": log_odds}), ratio, floor, moment, limits)
        stored = torch.round(new.log_odds / odds.scale).clamp(-32767, 32767)
        stored = torch.where(torch.isnan(new.log_odds), float(odds.fill), stored)
        return [stored, *(getattr(new, name) for name in Belief.names()[1:])]

    return kernel


def _chunks(pixels: int) -> list[slice]:
    return [slice(start, min(start + CHUNK, pixels)) for start in range(0, pixels, CHUNK)]


def _move(values: AnyArray, device: str) -> Tensor:
    """As float32 on the device, the last chunk padded, so that a compiled kernel meets one shape."""
    return _padded(torch.from_numpy(np.ascontiguousarray(values)).to(device=device, dtype=torch.float32))


def _padded(values: Tensor) -> Tensor:
    missing = CHUNK - values.shape[-1]
    return torch.cat([values, values.new_zeros((*values.shape[:-1], missing))], dim=-1) if missing else values


def _saved(values: Tensor, dtype: str, size: int) -> AnyArray:
    saved: AnyArray = values[:size].to(_TORCH[dtype]).cpu().numpy()
    return saved


def _unpacked(packed: NDArray[np.int16]) -> Tensor:
    tensor = torch.from_numpy(packed).to(torch.float32)
    return torch.where(tensor == RATIO.fill, torch.nan, tensor * RATIO.scale)
