"""Settings from the environment (`ENGGANG_*`): validated once, unknown names refused, secrets masked."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from enggang.errors import ConfigError

PREFIX = "ENGGANG_"


class Settings(BaseModel):
    """All that a deployment may set. Every field is the variable `ENGGANG_<NAME IN CAPITALS>`; `load_settings` reads
    them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(default=Path("var"), description="folder of state, ledger, products and run summaries")
    aoi_dir: Path = Field(default=Path("aoi"), description="folder of areas of interest, one ID.geojson each")
    catalog: Path = Field(default=Path("data_catalog.yaml"), description="the dataset catalogue")
    device: str = Field(default="auto", description="torch device: auto, cpu, cuda, cuda:1 …")
    compile: Literal["auto", "always", "never"] = Field(
        default="auto", description="torch.compile: auto compiles large grids where a compiler is installed"
    )
    workers: int = Field(default=0, ge=0, description="Dask threads; 0 = one for each core")
    dask_scheduler: str = Field(default="", description="address of a Dask cluster; empty = threads in process")
    block: int = Field(default=1024, ge=64, le=8192, description="block edge in pixels: unit of work and of state")
    min_free_share: float = Field(default=0.15, ge=0, lt=1, description="share of the disk that must stay free")
    lease_seconds: float = Field(default=90.0, gt=1, le=120, description="a writer silent this long has lost its lease")


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read settings from `environ` (default: the process environment).

    Raises `ConfigError` for an unknown `ENGGANG_*` name, with the nearest known one, or for a bad value.
    """
    environ = os.environ if environ is None else environ
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    given = {k: v for k, v in environ.items() if k.startswith(PREFIX)}
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
            raise ConfigError(f"unknown setting {name}", hint)
    try:
        return Settings.model_validate({k.removeprefix(PREFIX).lower(): v for k, v in given.items()})
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + "_".join(str(p) for p in first["loc"]).upper()
        raise ConfigError(f"setting {name} = {first['input']!r}: {first['msg']}", "correct the variable") from error
