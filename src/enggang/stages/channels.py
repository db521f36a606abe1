"""Which channels of a monitor a scene gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from enggang.cube.observe import bands_of
from enggang.errors import MissingBand
from enggang.monitors.baseline import HarmonicModel
from enggang.monitors.config import ChannelConfig, MonitorConfig
from enggang.types import ObservationSpec, Scene


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of one monitor for one kind of scene. `key` names its baseline: the measure, and the orbit where the
    baseline is kept for each (`vh/descending-54`, `vh/ascending`, `nbr`)."""

    key: str
    config: ChannelConfig
    spec: ObservationSpec

    @property
    def model(self) -> HarmonicModel:
        """The baseline's terms."""
        return HarmonicModel(self.config.harmonics, self.config.trend)


def channels_of(scene: Scene, monitor: MonitorConfig) -> tuple[Channel, ...]:
    """The channels that `scene` serves; none where the monitor watches no such sensor.

    Raises `MissingBand` where the monitor watches the sensor and the scene has bands for none of its measures.
    """
    wanted = [c for c in monitor.channels if c.sensor == scene.sensor]
    found: list[Channel] = []
    missing: MissingBand | None = None
    for config in wanted:
        spec = monitor.spec(config)
        try:
            bands_of(scene, spec)
        except MissingBand as error:
            missing = error
            continue
        found.append(Channel(_key(scene, config), config, spec))
    if missing is not None and not found:
        raise missing
    return tuple(found)


def specs_of(channels: Iterable[Channel]) -> tuple[ObservationSpec, ...]:
    """The observation specs of channels, in their order."""
    return tuple(c.spec for c in channels)


def _key(scene: Scene, config: ChannelConfig) -> str:
    if not config.per_orbit or scene.orbit_state is None:
        return config.measure
    orbit = f"-{scene.relative_orbit}" if scene.relative_orbit is not None else ""
    return f"{config.measure}/{scene.orbit_state}{orbit}"
