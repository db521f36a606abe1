"""Random fields: correlated Gaussian noise for clouds and canopies, gamma noise for speckle."""

from __future__ import annotations

import numpy as np
import scipy.fft
from scipy.ndimage import correlate1d

from enggang.types import FloatArray

#: Weights of the separable filter that correlates neighbouring speckle, as the resampling of a GRD product does.
_SPECKLE_KERNEL = (0.12, 0.76, 0.12)


def correlated_field(rng: np.random.Generator, shape: tuple[int, int], *, slope: float, longest: float) -> FloatArray:
    """A Gaussian field, (y, x) float32, mean about 0 and sd 1, with a power-law spectrum.

    The amplitude falls with the wave number k as (k² + k0²)^(−slope/2): `longest` = 1/k0 is the largest structure in
    pixels, and a larger `slope` is smoother. The field is periodic; crop a margin where that would show.
    """
    rows = scipy.fft.fftfreq(shape[0]).astype(np.float32)[:, None]
    cols = scipy.fft.rfftfreq(shape[1]).astype(np.float32)[None, :]
    amplitude = (rows**2 + cols**2 + np.float32(1.0 / longest) ** 2) ** np.float32(-slope / 2)
    amplitude[0, 0] = 0.0
    # Inner columns stand for two conjugate modes each; the edges stand for one, of which only the real part counts.
    power = 4.0 * np.square(amplitude, dtype=np.float64).sum()
    edges = [0, -1] if shape[1] % 2 == 0 else [0]
    power -= 2.0 * np.square(amplitude[:, edges], dtype=np.float64).sum()
    amplitude[:, edges] *= np.float32(np.sqrt(2))
    half = (shape[0], shape[1] // 2 + 1)
    spectrum = np.empty(half, dtype=np.complex64)
    spectrum.real = rng.standard_normal(half, dtype=np.float32)
    spectrum.imag = rng.standard_normal(half, dtype=np.float32)
    spectrum *= amplitude
    field: FloatArray = scipy.fft.irfft2(spectrum, s=shape, workers=1)
    # The expected variance (Parseval), not the sample's: a field that happens to be uneven stays so.
    field *= np.float32(shape[0] * shape[1] / np.sqrt(power))
    return field


def speckle(rng: np.random.Generator, shape: tuple[int, int], looks: float) -> FloatArray:
    """Multiplicative speckle, (y, x) float32, power, mean 1, equivalent number of looks `looks`.

    Gamma noise (Ulaby, Moore and Fung 1986), neighbours correlated at about 0.3: the white noise has fewer looks by
    the filter's noise gain, so that the filtered one has `looks`.
    """
    gain = float(np.sum(np.square(_SPECKLE_KERNEL))) ** 2
    order = looks * gain
    white: FloatArray = rng.standard_gamma(order, shape, dtype=np.float32) / np.float32(order)
    for axis in (0, 1):
        white = correlate1d(white, _SPECKLE_KERNEL, axis=axis, mode="reflect")
    return white
