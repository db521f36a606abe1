"""Prefect on a database of its own, and a checkout-like folder in which flows find their settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import flows  # sets Prefect's environment before Prefect is imported


@pytest.fixture(scope="session", autouse=True)
def prefect_server() -> Iterator[None]:
    """One in-process server for all flow tests."""
    assert flows.__doc__
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def settled(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder to which the settings of this process point; areas are in `<home>/../aoi`."""
    (tmp_path / "aoi").mkdir()
    monkeypatch.setenv("ENGGANG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ENGGANG_AOI_DIR", str(tmp_path / "aoi"))
    monkeypatch.setenv("ENGGANG_CATALOG", str(repository / "data_catalog.yaml"))
    monkeypatch.setenv("ENGGANG_MIN_FREE_SHARE", "0")
    monkeypatch.setenv("ENGGANG_COMPILE", "never")
    return tmp_path / "home"
