"""When the satellites come: the calendar of acquisitions of an archive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from enggang.simulate.spec import DemoSpec
from enggang.types import OrbitState, Sensor, day_number

OPTICAL_COLLECTION = "sentinel-2-l2a"
SAR_COLLECTION = "sentinel-1-rtc"


@dataclass(frozen=True, slots=True)
class Track:
    """A repeated overpass: time of day in UTC, days after the start of the archive, and who flies it.

    Local solar time at 116.6° E is UTC + 7.8 h: 02:31 UTC is 10:18, 22:04 is 05:50 and 10:23 is 18:09.
    """

    sensor: Sensor
    collection: str
    time_utc: time
    delay_days: int
    orbit_state: OrbitState
    relative_orbit: int
    platforms: tuple[str, ...]
    vh_offset: float = 0.0
    vv_offset: float = 0.0


#: The offsets in dB stand for the two incidence angles. Orbit numbers are plausible, not looked up.
TRACKS = (
    Track("optical", OPTICAL_COLLECTION, time(2, 31, 9), 0, "descending", 60, ("sentinel-2a", "sentinel-2b")),
    Track("sar", SAR_COLLECTION, time(22, 4, 41), 2, "descending", 134, ("sentinel-1a",), -0.9, -1.1),
    Track("sar", SAR_COLLECTION, time(10, 23, 17), 7, "ascending", 54, ("sentinel-1a",)),
)


@dataclass(frozen=True, slots=True)
class Overpass:
    """One acquisition: a scene to be made."""

    track: Track
    acquired: datetime
    platform: str

    @property
    def id(self) -> str:
        """The STAC id, such as `demo-s2a-20260103T023109`."""
        mission = self.platform.replace("sentinel-", "s")
        return f"demo-{mission}-{self.acquired:%Y%m%dT%H%M%S}"

    @property
    def day(self) -> int:
        """Days since 2014-12-31."""
        return day_number(self.acquired.date())

    @property
    def year_fraction(self) -> float:
        """Position in the year, 0 on 1 January."""
        return (self.acquired.timetuple().tm_yday - 1) / 365.25


def overpasses(spec: DemoSpec) -> tuple[Overpass, ...]:
    """Every acquisition of the archive in order of time."""
    found = [one for track in TRACKS for one in _repeats(spec, track)]
    return tuple(sorted(found, key=lambda one: one.acquired))


def _repeats(spec: DemoSpec, track: Track) -> Iterator[Overpass]:
    step = timedelta(days=spec.s2_step_days if track.sensor == "optical" else spec.s1_step_days)
    day: date = spec.start + timedelta(days=track.delay_days)
    number = 0
    while day <= spec.end:
        platform = track.platforms[number % len(track.platforms)]
        # Passes drift by a few seconds; a fixed pattern keeps ids free of any random draw.
        drift = timedelta(seconds=(number * 7) % 11)
        yield Overpass(track, datetime.combine(day, track.time_utc, UTC) + drift, platform)
        day += step
        number += 1
