"""One night of the alert ledger: the pixels of tonight against the alerts of the night before.

Pure and repeatable: equal arguments give equal results, and a night that changes no pixel gives no event but the
finishing of alerts that have long been still. Ids are `<aoi>-<night>-r<row>c<col>` of the first pixel at birth; the
night comes first, so that later alerts sort after earlier ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from enggang.alerts.components import pixel_index
from enggang.alerts.evidence import Evidence, confirmed_days, gather, sensor_names
from enggang.alerts.geometry import Geometries, anchors, areas_ha, outlines
from enggang.alerts.grouping import Groups, group_ids, group_pixels
from enggang.alerts.lifecycle import LEADS_TO, steps
from enggang.alerts.matching import Integers
from enggang.alerts.records import Alert, AlertEvent, AlertPixels, AlertStatus, EventKind, LedgerNight
from enggang.alerts.rules import AlertRules, TrackContext
from enggang.errors import LedgerError
from enggang.types import PixelTable, day_of

__all__ = ["AlertRules", "TrackContext", "track"]

_KIND_ORDER = {kind: position for position, kind in enumerate(EventKind)}
_SURE = (AlertStatus.CONFIRMED, AlertStatus.FINISHED)

#: What happened to one alert tonight: kind and detail.
Happenings = list[tuple[EventKind, str]]


@dataclass(frozen=True, slots=True)
class _Shapes:
    """Per group: geometry, area in ha, anchor (lon, lat), district."""

    geometry: Geometries
    area_ha: NDArray[np.float64]
    anchor: NDArray[np.float64]
    district: list[str | None]


@dataclass(frozen=True, slots=True)
class _Believed:
    """Per group: the evidence, the status that it supports, and the day number on which it confirmed (0 = not)."""

    evidence: Evidence
    status: list[AlertStatus]
    confirmed_on: Integers


@dataclass(slots=True)
class _Night:
    """What is written down while the night is told: alerts and their happenings by id."""

    context: TrackContext
    before: tuple[Alert, ...]
    alerts: dict[str, Alert] = field(default_factory=dict)
    events: list[AlertEvent] = field(default_factory=list)

    def tell(self, alert: Alert, start: AlertStatus, happenings: Happenings) -> None:
        """Add `alert` as it is after `happenings`, and an event for each, with the status after it."""
        status, at, night = start, self.context.at, self.context.night
        for kind, detail in sorted(happenings, key=lambda h: _KIND_ORDER[h[0]]):
            status = LEADS_TO.get(kind, status)
            key = f"{alert.id}/{night.isoformat()}/{kind}"
            self.events.append(
                AlertEvent(key, alert.id, kind, night, at, status, alert.area_ha, alert.probability, detail)
            )
        changed = [kind for kind, _ in happenings if kind is not EventKind.FINISHED]
        self.alerts[alert.id] = replace(
            alert,
            status=status,
            last_changed=night if changed else alert.last_changed,
            versions=self.context.versions if happenings else alert.versions,
        )


def track(previous: LedgerNight | None, pixels: PixelTable, context: TrackContext) -> LedgerNight:
    """The ledger after `context.night`, from the ledger before it (None = the first night) and tonight's pixels.

    Raises `LedgerError` where the previous night isn't earlier, the time has no zone, or the table isn't in order.
    """
    _check(previous, context)
    before = previous.alerts if previous else ()
    index = pixel_index(pixels, int(context.geobox.shape[1]))
    groups = group_pixels(previous, pixels, index, context)
    believed = _believe(pixels, groups, context.rules)
    shapes = _draw(before, pixels, groups, context)
    names = group_ids(groups, before, pixels, context)
    night = _Night(context, before)
    _tell_closed(night, groups)
    _tell_known(night, groups, believed, shapes)
    _tell_new(night, groups, believed, shapes, names)
    alerts = tuple(night.alerts[key] for key in sorted(night.alerts))
    events = sorted(night.events, key=lambda e: (e.alert_id, _KIND_ORDER[e.kind]))
    position = {alert.id: n for n, alert in enumerate(alerts)}
    owner = np.array([position[name] for name in names], dtype=np.int32)
    held = groups.of_pixel >= 0
    return LedgerNight(context.night, alerts, AlertPixels(index[held], owner[groups.of_pixel[held]]), tuple(events))


def _check(previous: LedgerNight | None, context: TrackContext) -> None:
    if context.at.tzinfo is None:
        raise LedgerError(f"the time of the run of {context.night} has no zone: {context.at}", "give it in UTC")
    if previous is not None and previous.night >= context.night:
        raise LedgerError(
            f"the ledger already stands at {previous.night}, which isn't before {context.night}",
            "supersede the later nights first, or start from the night before",
        )


def _believe(pixels: PixelTable, groups: Groups, rules: AlertRules) -> _Believed:
    evidence = gather(pixels, groups.of_pixel, len(groups.known))
    share = np.ceil(evidence.size * rules.confirmed_share).astype(np.int64)
    needed = np.maximum(np.where(evidence.size >= groups.cells, groups.cells, share), 1)
    confirmed, provisional = evidence.confirmed >= needed, evidence.provisional >= needed
    status = [
        AlertStatus.CONFIRMED if sure else AlertStatus.PROVISIONAL if firm else AlertStatus.FLAGGED
        for sure, firm in zip(confirmed, provisional, strict=True)
    ]
    return _Believed(evidence, status, confirmed_days(pixels, groups.of_pixel, needed))


def _draw(before: Sequence[Alert], pixels: PixelTable, groups: Groups, context: TrackContext) -> _Shapes:
    """Shapes of all groups; a known alert whose pixels are the same keeps what was drawn before."""
    count = len(groups.known)
    geometry, area, anchor = np.empty(count, dtype=object), np.zeros(count), np.zeros((count, 2))
    district: list[str | None] = [None] * count
    moved = (groups.known < 0) | (groups.added > 0) | (groups.lost > 0)
    for n in np.flatnonzero(~moved).tolist():
        alert = before[groups.known[n]]
        geometry[n], area[n], anchor[n], district[n] = alert.geometry, alert.area_ha, alert.centroid, alert.district
    redraw = np.flatnonzero(moved)
    picked = np.flatnonzero(np.isin(groups.of_pixel, redraw))
    compact = np.searchsorted(redraw, groups.of_pixel[picked])
    geometry[redraw] = outlines(pixels.row[picked], pixels.col[picked], compact, context.geobox)
    area[redraw] = np.round(areas_ha(geometry[redraw]), 4)
    anchor[redraw] = anchors(geometry[redraw])
    if context.districts is not None:
        unnamed = [n for n in range(count) if district[n] is None]
        for n, name in zip(unnamed, context.districts(geometry[unnamed]), strict=True):
            district[n] = name
    return _Shapes(geometry, area, anchor, district)


def _tell_closed(night: _Night, groups: Groups) -> None:
    """Alerts that no longer stand: closed ones go on as they are, the others were merged or withdrawn tonight."""
    standing = set(groups.known.tolist())
    children = _children(groups)
    for position, alert in enumerate(night.before):
        if position in standing:
            continue
        if not alert.status.is_standing:
            night.alerts[alert.id] = alert
            continue
        happened: Happenings = (
            [(EventKind.SPLIT, "a part goes on as an alert of its own")] if children.get(position) else []
        )
        if position in groups.merged:
            survivor = night.before[groups.merged[position]].id
            happened.append((EventKind.MERGED, f"into {survivor}"))
            alert = replace(alert, reason="merged", merged_into=survivor)
        else:
            reason = f"no pixel above the flag threshold on {night.context.night}; flagged since {alert.flagged_on}"
            happened.append((EventKind.WITHDRAWN, reason))
            alert = replace(alert, reason=reason)
        night.tell(alert, alert.status, happened)


def _children(groups: Groups) -> dict[int, int]:
    """Position of a known alert → how many new alerts are split from it tonight."""
    parents, counts = np.unique(groups.parent[groups.parent >= 0], return_counts=True)
    return dict(zip(parents.tolist(), counts.tolist(), strict=True))


def _tell_known(night: _Night, groups: Groups, believed: _Believed, shapes: _Shapes) -> None:
    children = _children(groups)
    losers: dict[int, list[Alert]] = {}
    for loser, survivor in groups.merged.items():
        losers.setdefault(survivor, []).append(night.before[loser])
    for group in np.flatnonzero(groups.known >= 0).tolist():
        position = int(groups.known[group])
        alert, taken = night.before[position], losers.get(position, [])
        sure = believed.status[group] is AlertStatus.CONFIRMED or any(a.status in _SURE for a in taken)
        status = AlertStatus.CONFIRMED if sure else believed.status[group]
        happened = _exchanged(int(groups.added[group]), int(groups.lost[group]), taken)
        if position in children:
            happened.append((EventKind.SPLIT, f"{children[position]} new"))
        happened += [(kind, "") for kind in steps(alert.status, status)]
        if alert.status is AlertStatus.FINISHED and any(kind is EventKind.GROWN for kind, _ in happened):
            happened.append((EventKind.REOPENED, f"still since {alert.last_changed}"))
        still = (night.context.night - alert.last_changed).days
        if alert.status is AlertStatus.CONFIRMED and not happened and still >= night.context.rules.finish_days:
            happened.append((EventKind.FINISHED, f"no change since {alert.last_changed}"))
        confirmed_on = _confirmed_on(alert, taken, int(believed.confirmed_on[group]), night.context.night)
        seen = _observed(alert, group, believed.evidence, shapes)
        seen = replace(
            seen,
            flagged_on=min([seen.flagged_on, alert.flagged_on, *(a.flagged_on for a in taken)]),
            confirmed_on=confirmed_on if status is AlertStatus.CONFIRMED else alert.confirmed_on,
        )
        night.tell(seen, alert.status, happened)


def _exchanged(added: int, lost: int, taken: Iterable[Alert]) -> Happenings:
    """Grown where ground was gained and the count of pixels isn't smaller, else shrunk where ground was lost."""
    names = ", ".join(a.id for a in taken)
    detail = f"+{added} -{lost} pixels" + (f", with {names}" if names else "")
    if added and added >= lost:
        return [(EventKind.GROWN, detail)]
    return [(EventKind.SHRUNK, detail)] if lost else []


def _confirmed_on(alert: Alert, taken: Iterable[Alert], day: int, night: date) -> date:
    """The first confirmation stays; else the earliest of what the pixels say and what merged alerts bring."""
    if alert.confirmed_on is not None:
        return alert.confirmed_on
    known = [a.confirmed_on for a in taken if a.confirmed_on is not None]
    pixel_day = day_of(day)
    return min([*known, pixel_day] if pixel_day else known, default=night)


def _tell_new(night: _Night, groups: Groups, believed: _Believed, shapes: _Shapes, names: list[str]) -> None:
    context = night.context
    for group in np.flatnonzero(groups.known < 0).tolist():
        parent = night.before[groups.parent[group]].id if groups.parent[group] >= 0 else None
        status = believed.status[group]
        sure = status is AlertStatus.CONFIRMED
        blank = Alert(
            id=names[group],
            aoi=context.aoi,
            status=AlertStatus.FLAGGED,
            first_seen=context.night,
            first_disturbed=context.night,
            flagged_on=context.night,
            confirmed_on=(day_of(int(believed.confirmed_on[group])) or context.night) if sure else None,
            last_changed=context.night,
            probability=0.0,
            sensors=(),
            observations=0,
            area_ha=0.0,
            centroid=(0.0, 0.0),
            geometry=shapes.geometry[group],
            district=None,
            versions=context.versions,
            split_from=parent,
        )
        happened: Happenings = [(EventKind.CREATED, f"split from {parent}" if parent else "")]
        happened += [(kind, "") for kind in steps(AlertStatus.FLAGGED, status)]
        night.tell(_observed(blank, group, believed.evidence, shapes), AlertStatus.FLAGGED, happened)


def _observed(alert: Alert, group: int, evidence: Evidence, shapes: _Shapes) -> Alert:
    """`alert` with what its pixels and its outline say tonight; a date that no pixel has stays."""
    lon, lat = shapes.anchor[group].tolist()
    return replace(
        alert,
        first_disturbed=day_of(int(evidence.first_disturbed[group])) or alert.first_disturbed,
        flagged_on=day_of(int(evidence.flagged_on[group])) or alert.flagged_on,
        probability=round(float(evidence.probability[group]), 4),
        sensors=sensor_names(int(evidence.sensors[group])),
        observations=int(evidence.observations[group]),
        area_ha=float(shapes.area_ha[group]),
        centroid=(lon, lat),
        geometry=shapes.geometry[group],
        district=shapes.district[group],
    )
