"""One validated config per monitor: channels, thresholds, caps and shifts. Unknown keys are refused."""

from __future__ import annotations

import difflib
import hashlib
import math
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from enggang.errors import ConfigError
from enggang.types import MaskRule, ObservationSpec, Sensor

_FROZEN = ConfigDict(frozen=True, extra="forbid")


def logit(probability: float) -> float:
    """Natural log-odds of a probability in (0, 1)."""
    return math.log(probability / (1.0 - probability))


class BaselineConfig(BaseModel):
    """The stable history that the baseline is fitted on."""

    model_config = _FROZEN

    years: float = Field(default=2.0, gt=0, le=30)
    min_observations: int = Field(default=12, ge=3)
    robust_iterations: int = Field(default=10, ge=0, le=50, description="0 = ordinary least squares")
    recent_observations: int = Field(default=8, ge=1, description="the end of the history, checked for a late clearing")
    recent_share: float = Field(default=0.5, gt=0, description="share of a channel's shift that makes it one")


class ChannelConfig(BaseModel):
    """One measure of one sensor, its baseline model and its evidence.

    Values are in the measure's unit: dB for SAR, unitless for indices. Cleared is modelled as a normal density around
    forest mean + shift, with `cleared_sd` towards the forest and `cleared_far_sd` away from it (bare soil may lie far
    down), forest as N(mean, sd²), and a third class, uniform with density `outlier_density`, takes a share
    `outlier_share` of all observations (cloud, shadow, wet soil).
    """

    model_config = _FROZEN

    measure: str
    sensor: Sensor
    per_orbit: bool = False
    harmonics: int = Field(default=1, ge=0, le=2)
    trend: bool = False
    shift: float = Field(lt=0)
    cleared_sd: float = Field(gt=0)
    cleared_far_sd: float | None = Field(default=None, gt=0, description="below mean + shift; default cleared_sd")
    sd_min: float = Field(gt=0)
    sd_max: float = Field(gt=0)
    outlier_share: float = Field(gt=0, lt=1)
    outlier_density: float = Field(gt=0, description="per unit of the measure")
    cap: float = Field(gt=0, description="largest |log-likelihood ratio| of one observation")
    scene_shift: bool = Field(default=False, description="remove the scene's median residual first (rain)")
    speckle_window: int = Field(default=1, ge=1, le=9)
    forest_min: float | None = Field(default=None, description="baseline mean below which a pixel is no forest")
    late_clearing: bool = Field(
        default=True, description="the end of the history can show that forest was gone already"
    )


class BeliefConfig(BaseModel):
    """The recursion in log-odds and the probabilities at which a pixel changes status."""

    model_config = _FROZEN

    prior: float = Field(default=0.005, gt=0, lt=0.5, description="probability to which belief falls back")
    ceiling: float = Field(default=0.9999, gt=0.5, lt=1)
    neighbour_weight: float = Field(default=2.0, ge=0, description="log-odds added to the prior amid cleared pixels")
    neighbour_evidence: dict[Sensor, float] = Field(
        default={"sar": 0.5, "optical": 0.5}, description="weight of the mean evidence of the eight neighbours"
    )
    flagged: float = Field(default=0.6, gt=0, lt=1)
    provisional: float = Field(default=0.85, gt=0, lt=1)
    confirmed: float = Field(default=0.975, gt=0, lt=1)
    released: float = Field(default=0.2, gt=0, lt=1, description="a flag below this is withdrawn")
    confirm_observations: int = Field(default=2, ge=1)
    expire_days: int = Field(default=180, ge=1, description="a flag not confirmed within this time is withdrawn")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.prior < self.released < self.flagged < self.provisional < self.confirmed < self.ceiling:
            raise ValueError("prior < released < flagged < provisional < confirmed < ceiling must hold")
        if logit(self.prior) + self.neighbour_weight >= logit(self.released):
            raise ValueError("prior + neighbour_weight must stay below released, or flags would feed on each other")
        if any(weight < 0 for weight in self.neighbour_evidence.values()):
            raise ValueError("neighbour_evidence must not be negative")
        return self


class AlertConfig(BaseModel):
    """From pixels to alerts."""

    model_config = _FROZEN

    mmu_ha: float = Field(default=0.1, gt=0)
    finish_days: int = Field(default=90, ge=1, description="an alert that has not grown for this long is finished")


class MonitorConfig(BaseModel):
    """A monitor: what it watches, how it believes, when it alerts."""

    model_config = _FROZEN

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    version: str = Field(pattern=r"^[0-9A-Za-z.]+$")
    baseline: BaselineConfig = BaselineConfig()
    mask: MaskRule = MaskRule()
    channels: tuple[ChannelConfig, ...] = Field(min_length=1)
    belief: BeliefConfig = BeliefConfig()
    alerts: AlertConfig = AlertConfig()

    @property
    def key(self) -> str:
        """`<id>-<version>`: the name of its state."""
        return f"{self.id}-{self.version}"

    @property
    def digest(self) -> str:
        """SHA-256 of the whole config; two configs that differ anywhere differ here."""
        return hashlib.sha256(orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)).hexdigest()

    def spec(self, channel: ChannelConfig) -> ObservationSpec:
        """How the observations of `channel` are made from a scene."""
        mask = self.mask if channel.sensor == "optical" else None
        return ObservationSpec(channel.measure, mask, channel.speckle_window)


def load_monitor(name: str) -> MonitorConfig:
    """Load a preset by name, or a YAML file by path. `extends: <preset>` states a variant as differences.

    Raises `ConfigError` that names the key, with the nearest known one.
    """
    return parse_monitor(_resolve(name, ()), name)


def list_monitors() -> list[str]:
    """Names of the presets that come with the library."""
    return sorted(p.name.removesuffix(".yaml") for p in _presets().iterdir() if p.name.endswith(".yaml"))


def parse_monitor(document: dict[str, Any], where: str) -> MonitorConfig:
    """Validate a parsed config. Raises `ConfigError`."""
    try:
        return MonitorConfig.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(p) for p in first["loc"])
        raise ConfigError(f"monitor {where}: {key}: {first['msg']}", _nearest(first)) from error


def _presets() -> Any:
    return files("enggang.monitors") / "presets"


def _resolve(name: str, seen: tuple[str, ...]) -> dict[str, Any]:
    if name in seen:
        raise ConfigError(f"monitor {name} extends itself by way of {' → '.join(seen)}", "break the circle")
    path = Path(name) if name.endswith((".yaml", ".yml")) else _presets() / f"{name}.yaml"
    if not path.is_file():
        near = difflib.get_close_matches(name, list_monitors(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(list_monitors())}"
        raise ConfigError(f"no monitor {name}", hint)
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise ConfigError(f"monitor {name} is not a mapping", "see src/enggang/monitors/presets")
    parent = document.pop("extends", None)
    return _merge(_resolve(parent, (*seen, name)), document) if parent else document


def _merge(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _nearest(first: Any) -> str:
    if first["type"] not in ("extra_forbidden", "unexpected_keyword_argument"):
        return "correct the value"
    models = (MonitorConfig, BaselineConfig, ChannelConfig, BeliefConfig, AlertConfig)
    known = {field for model in models for field in model.model_fields} | {"scl_valid", "dilate", "blue_max"}
    near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
    return f"did you mean {near[0]}?" if near else "remove the key"
