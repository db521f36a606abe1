"""The robust fit: least squares without outliers, near the truth with them, whatever the order and the chunks."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from enggang.monitors.baseline import FitOptions, HarmonicModel, fit

seeds = st.integers(0, 2**32 - 1)
MODELS = st.sampled_from([HarmonicModel(0), HarmonicModel(1), HarmonicModel(2), HarmonicModel(1, trend=True)])


def season(seed: int, model: HarmonicModel, count: int, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(values (time, y, x), basis, true coefficients (k, y, x)); a quarter not seen."""
    rng = np.random.default_rng(seed)
    days = 4000 + np.sort(rng.choice(730, count, replace=False))
    basis = model.basis(days, origin=4000)
    true = rng.normal(0, 0.1, (model.size, 4, 5)) + np.eye(model.size, 1)[..., None] * 0.7
    values = np.einsum("tk,kyx->tyx", basis, true) + noise * rng.standard_normal((count, 4, 5))
    values[rng.random(values.shape) < 0.25] = np.nan
    return values.astype(np.float32), basis, true


@settings(max_examples=40, deadline=None)
@given(seeds, MODELS)
def test_without_outliers_ols_is_least_squares(seed: int, model: HarmonicModel) -> None:
    values, basis, _ = season(seed, model, 60, 0.05)
    found = fit(values, basis, FitOptions(robust_iterations=0))
    for y in range(4):
        for x in range(5):
            seen = ~np.isnan(values[:, y, x])
            expected, *_ = np.linalg.lstsq(basis[seen].astype(float), values[seen, y, x].astype(float), rcond=None)
            residual = values[seen, y, x] - basis[seen] @ expected
            np.testing.assert_allclose(found.coef[:, y, x], expected, atol=2e-4)
            sd = np.sqrt((residual**2).sum() / (seen.sum() - model.size))
            np.testing.assert_allclose(found.sd[y, x], sd, rtol=2e-3)
            assert found.n[y, x] == seen.sum()


@settings(max_examples=40, deadline=None)
@given(seeds, MODELS)
def test_a_tenth_of_outliers_moves_the_robust_fit_little(seed: int, model: HarmonicModel) -> None:
    values, basis, true = season(seed, model, 100, 0.02)
    struck = np.random.default_rng(seed + 1).random(values.shape) < 0.1
    values[struck] -= 0.8
    truth = np.einsum("tk,kyx->tyx", basis, true)

    def error(iterations: int) -> float:
        found = fit(values, basis, FitOptions(robust_iterations=iterations))
        return float(np.abs(np.einsum("tk,kyx->tyx", basis, found.coef) - truth).mean())

    robust = error(10)
    assert robust < 0.012
    assert robust < 0.25 * error(0)


@settings(max_examples=30, deadline=None)
@given(seeds, MODELS, st.sampled_from([0, 10]))
def test_the_order_of_observations_and_the_chunks_do_not_matter(
    seed: int, model: HarmonicModel, iterations: int
) -> None:
    values, basis, _ = season(seed, model, 50, 0.05)
    order = np.random.default_rng(seed).permutation(len(values))
    whole = fit(values, basis, FitOptions(iterations))
    shuffled = fit(values[order], basis[order], FitOptions(iterations))
    pieces = fit(values, basis, FitOptions(iterations, chunk=3))
    for other in (shuffled, pieces):
        np.testing.assert_allclose(other.coef, whole.coef, atol=2e-3)
        np.testing.assert_allclose(other.sd, whole.sd, rtol=0.02, atol=1e-4)
        np.testing.assert_array_equal(other.n, whole.n)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(3, 20))
def test_too_few_observations_give_no_baseline(seed: int, least: int) -> None:
    values, basis, _ = season(seed, HarmonicModel(1), 25, 0.05)
    found = fit(values, basis, FitOptions(10, min_observations=least))
    few = (~np.isnan(values)).sum(0) < max(least, 4)
    np.testing.assert_array_equal(np.isnan(found.sd), few)
    np.testing.assert_array_equal(np.isnan(found.coef).all(0), few)
    np.testing.assert_array_equal(found.n, (~np.isnan(values)).sum(0))
