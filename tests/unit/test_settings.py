"""Settings come from ENGGANG_* alone; a slip is refused and named."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from enggang.errors import ConfigError
from enggang.settings import Settings, load_settings


def test_defaults_need_no_environment() -> None:
    settings = load_settings({})
    assert settings.home == Path("var")
    assert settings.block == 1024
    assert settings == load_settings({"HOME": "/root", "PATH": "/bin"})


def test_every_field_is_a_variable() -> None:
    given = {
        "ENGGANG_HOME": "/srv/enggang",
        "ENGGANG_AOI_DIR": "/etc/enggang/aoi",
        "ENGGANG_CATALOG": "/etc/enggang/data_catalog.yaml",
        "ENGGANG_DEVICE": "cuda:1",
        "ENGGANG_COMPILE": "never",
        "ENGGANG_WORKERS": "4",
        "ENGGANG_DASK_SCHEDULER": "tcp://10.0.0.1:8786",
        "ENGGANG_BLOCK": "512",
        "ENGGANG_MIN_FREE_SHARE": "0.05",
        "ENGGANG_LEASE_SECONDS": "30",
    }
    assert {f"ENGGANG_{name.upper()}" for name in Settings.model_fields} == set(given)
    settings = load_settings(given)
    assert settings.home == Path("/srv/enggang")
    assert (settings.workers, settings.block, settings.min_free_share) == (4, 512, 0.05)


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGGANG_BLOCK", "256")
    assert load_settings().block == 256


def test_an_explicit_environment_shuts_the_process_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGGANG_BLOCK", "256")
    assert load_settings({}).block == 1024


@pytest.mark.parametrize(
    ("environ", "what", "remedy"),
    [
        ({"ENGGANG_HOMES": "x"}, "unknown setting ENGGANG_HOMES", "did you mean ENGGANG_HOME?"),
        ({"ENGGANG_QQQQQQQQQQQQ": "x"}, "unknown setting", "known: ENGGANG_AOI_DIR"),
        ({"ENGGANG_BLOCK": "12"}, "ENGGANG_BLOCK = '12'", "correct"),
        ({"ENGGANG_WORKERS": "many"}, "ENGGANG_WORKERS = 'many'", "correct"),
        ({"ENGGANG_COMPILE": "sometimes"}, "ENGGANG_COMPILE", "correct"),
        ({"ENGGANG_MIN_FREE_SHARE": "1"}, "ENGGANG_MIN_FREE_SHARE", "correct"),
    ],
)
def test_a_wrong_setting_is_named_with_a_remedy(environ: dict[str, str], what: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ)
    assert what in caught.value.what
    assert remedy in caught.value.remedy


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        load_settings({}).block = 512  # type: ignore[misc]
