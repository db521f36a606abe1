"""Robust harmonic baseline per pixel: batched masked normal equations in PyTorch.

Model: y(t) = c0 [+ c1·t] + Σ_h (a_h cos 2πht + b_h sin 2πht), t in years, as in BFAST (Verbesselt et al. 2012) and nrt.
Robust: iteratively reweighted least squares with Tukey's bisquare (Holland & Welsch 1977), scale by the median absolute
residual; a few far observations (missed cloud, shadow) then move neither the mean nor the spread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from enggang.monitors.device import CompilePolicy, compiled
from enggang.types import FloatArray

YEAR = 365.25
#: Bisquare tuning constant (95 % efficiency under a Gaussian) and the Gaussian ratio of sd to median |residual|.
BISQUARE = 4.685
MAD_TO_SD = 1.0 / 0.6745
#: Halvings in the search for the median |residual|: the first from the whole range, the next around the one before.
_FIRST_HALVINGS, _NEXT_HALVINGS = 10, 5
#: Values (pixels × dates) from which a fit repays the half minute that compiling it takes.
COMPILE_FROM = 500_000_000
#: Added to the diagonal of the normal equations, relative to n: keeps a gap in the seasons from exploding a term.
_RIDGE = 1e-6


@dataclass(frozen=True, slots=True)
class HarmonicModel:
    """Which terms the baseline has: `harmonics` pairs of sine and cosine, and a linear `trend` if asked for."""

    harmonics: int = 1
    trend: bool = False

    @property
    def size(self) -> int:
        """Number of coefficients per pixel."""
        return 1 + int(self.trend) + 2 * self.harmonics

    def basis(self, days: NDArray[np.floating], origin: float = 0.0) -> FloatArray:
        """Design matrix (time, k) float32 at `days` (days since 2014-12-31); the trend counts years from `origin`."""
        t = (np.asarray(days, dtype=np.float64) - origin) / YEAR
        season = 2 * np.pi * np.asarray(days, dtype=np.float64) / YEAR
        terms = [np.ones_like(t)]
        if self.trend:
            terms.append(t)
        for order in range(1, self.harmonics + 1):
            terms += [np.cos(order * season), np.sin(order * season)]
        return np.stack(terms, axis=-1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Baseline:
    """A fitted baseline. coef: (k, y, x) float32 in the measure's unit; sd: (y, x) float32, robust residual spread;
    n: (y, x) uint16, valid observations. Where n is too small to fit, coef and sd are NaN."""

    coef: FloatArray
    sd: FloatArray
    n: NDArray[np.uint16]


def recent_level(values: FloatArray, mean: FloatArray, last: int) -> FloatArray:
    """How far the end of the history lies from the baseline: the median of the `last` valid residuals of each pixel.

    values, mean: (time, y, x) float32 in the measure's unit, NaN = not valid. Returns (y, x) float32, NaN where there
    is no valid value. A pixel that was cleared within the history shows here, however robust the fit was.
    """
    residual = values - mean
    valid = np.isfinite(residual)
    from_end = np.cumsum(valid[::-1], axis=0)[::-1]
    recent = np.where(valid & (from_end <= last), residual, np.nan)
    recent = np.sort(recent, axis=0)[: max(last, 1)]
    count = np.isfinite(recent).sum(axis=0)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    pick = [np.take_along_axis(recent, np.minimum(i, len(recent) - 1)[None], axis=0)[0] for i in (low, high)]
    level: FloatArray = np.where(count > 0, 0.5 * (pick[0] + np.where(count % 2, pick[0], pick[1])), np.nan)
    return level.astype(np.float32)


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How to fit: `robust_iterations` = 0 is ordinary least squares; pixels with fewer than `min_observations` valid
    values stay NaN. `chunk` pixels are solved at a time, so that the working set stays in the processor's cache."""

    robust_iterations: int = 10
    min_observations: int = 12
    device: str = "cpu"
    compile: CompilePolicy = "never"
    chunk: int = 8192


def fit(values: FloatArray, basis: FloatArray, options: FitOptions) -> Baseline:
    """Fit the baseline of every pixel.

    values: (time, y, x) float32 in the measure's unit, NaN = not valid. basis: (time, k) float32, see `HarmonicModel`.
    """
    time, *shape = values.shape
    flat = values.reshape(time, -1)
    pixels = flat.shape[1]
    k = basis.shape[1]
    coef, sd = np.empty((k, pixels), np.float32), np.empty(pixels, np.float32)
    n = np.empty(pixels, np.uint16)
    design = torch.from_numpy(basis).to(options.device)
    solve = compiled(_fit_chunk, options.compile, pixels * time >= COMPILE_FROM)
    for start in range(0, pixels, options.chunk):
        part = slice(start, min(start + options.chunk, pixels))
        y = torch.from_numpy(np.ascontiguousarray(flat[:, part])).to(options.device)
        b, s, count = solve(y, design, options.robust_iterations)
        few = count < max(options.min_observations, k + 1)
        b[:, few], s[few] = torch.nan, torch.nan
        coef[:, part], sd[part] = b.cpu().numpy(), s.cpu().numpy()
        n[part] = count.cpu().numpy().astype(np.uint16)
    return Baseline(coef.reshape(k, *shape), sd.reshape(shape), n.reshape(shape))


def _fit_chunk(y: Tensor, design: Tensor, iterations: int) -> tuple[Tensor, Tensor, Tensor]:
    """y (time, pixel) with NaN, design (time, k) → coef (k, pixel), sd (pixel), n (pixel)."""
    valid = y == y  # not NaN; `torch.isnan` is not vectorised by compilers
    weight = torch.where(valid, 1.0, 0.0)
    y = torch.where(valid, y, 0.0)
    count = weight.sum(0)
    products = _pairwise(design)
    if iterations == 0:
        return *_least_squares(y, design, products.T @ weight, count), count
    centre = y.sum(0) / count.clamp(min=1.0)
    y = (y - centre) * weight
    first = _solve(products.T @ weight, design.T @ y, count)
    coef, scale = _reweight(y, weight, design, products, first, iterations)
    coef[0] += centre
    return coef, scale, count


def _least_squares(y: Tensor, design: Tensor, gram: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients and residual sd; the residual sum of squares is yᵀy − bᵀXᵀy, so that the cube is read once."""
    rhs = design.T @ y
    coef = _solve(gram, rhs, count)
    left = (y.square().sum(0) - (coef * rhs).sum(0)).clamp(min=0.0)
    return coef, (left / (count - design.shape[1]).clamp(min=1.0)).sqrt()


def _reweight(
    y: Tensor, weight: Tensor, design: Tensor, products: Tensor, coef: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    count = weight.sum(0)
    # Residuals of missing values go to infinity: they lie above every bound and get no weight.
    missing = torch.where(weight > 0, 0.0, torch.inf)
    low, high = torch.zeros_like(count), ((y - design @ coef).abs() * weight).amax(0)
    halvings = _FIRST_HALVINGS
    for _ in range(iterations):
        residual = (y - design @ coef).abs() + missing
        middle = _median(residual, 0.5 * count, low, high, halvings)
        ratio = residual / (BISQUARE * MAD_TO_SD * middle).clamp(min=1e-9)
        bisquare = (1.0 - ratio.square()).clamp(min=0.0).square()
        coef = _solve(products.T @ bisquare, design.T @ (bisquare * y), count)
        # The median moves little from one iteration to the next: the next search starts around it.
        low, high, halvings = 0.5 * middle, 1.5 * middle, _NEXT_HALVINGS
    return coef, middle * MAD_TO_SD


def _median(residual: Tensor, half: Tensor, low: Tensor, high: Tensor, halvings: int) -> Tensor:
    """Median over time of a non-negative (time, pixel) tensor, sought within [low, high] by halving: no sort needed.

    half: half the number of valid entries.
    """
    for _ in range(halvings):
        middle = 0.5 * (low + high)
        above = (residual <= middle).to(residual.dtype).sum(0) >= half
        high = torch.where(above, middle, high)
        low = torch.where(above, low, middle)
    return 0.5 * (low + high)


def _pairwise(design: Tensor) -> Tensor:
    """Products of all pairs of columns, upper triangle by rows: (time, k(k+1)/2)."""
    k = design.shape[1]
    return torch.stack([design[:, i] * design[:, j] for i in range(k) for j in range(i, k)], dim=1)


def _solve(gram: Tensor, rhs: Tensor, count: Tensor) -> Tensor:
    """Solve the k×k normal equations of every pixel by LDLᵀ, unrolled so that each step is one vector over pixels.

    gram: (k(k+1)/2, pixel), upper triangle by rows. rhs: (k, pixel). Returns (k, pixel).
    """
    k = rhs.shape[0]
    upper = iter(gram)
    a = {(i, j): next(upper) for i in range(k) for j in range(i, k)}
    ridge = _RIDGE * count.clamp(min=1.0)
    diagonal: list[Tensor] = []
    lower: dict[tuple[int, int], Tensor] = {}
    for j in range(k):
        d = a[j, j] + ridge
        for m in range(j):
            d = d - lower[j, m].square() * diagonal[m]
        diagonal.append(torch.clamp(d, min=1e-12))
        for i in range(j + 1, k):
            entry = a[j, i]
            for m in range(j):
                entry = entry - lower[i, m] * lower[j, m] * diagonal[m]
            lower[i, j] = entry / diagonal[j]
    z: list[Tensor] = []
    for i in range(k):
        value = rhs[i]
        for m in range(i):
            value = value - lower[i, m] * z[m]
        z.append(value)
    b: list[Tensor] = [v / d for v, d in zip(z, diagonal, strict=True)]
    for i in range(k - 2, -1, -1):
        for m in range(i + 1, k):
            b[i] = b[i] - lower[m, i] * b[m]
    return torch.stack(b)
