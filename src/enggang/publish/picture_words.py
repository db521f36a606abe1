"""What the picture says, in Bahasa Indonesia and English; times always with their zone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from enggang.alerts.records import Alert, AlertEvent, EventKind
from enggang.alerts.words import Language
from enggang.aoi import Aoi

_MONTHS: dict[Language, tuple[str, ...]] = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "id": ("Jan", "Feb", "Mar", "Apr", "Mei", "Jun", "Jul", "Agu", "Sep", "Okt", "Nov", "Des"),
}


@dataclass(frozen=True, slots=True)
class PictureText:
    """The lines of a picture: a title, what was found in both languages, and how old it is."""

    title: str
    found_id: str
    found_en: str
    footer: str


def local_time(moment: datetime, timezone: str, language: Language = "id") -> str:
    """`24 Nov 2026, 02.00 WITA`: the form that Indonesian offices use, in the area's local time."""
    local = moment.astimezone(ZoneInfo(timezone))
    zone = local.tzname() or ""
    # Zones without a name of their own show as "-04" in the time zone database.
    zone = zone if zone.isalpha() else f"UTC{zone}"
    return f"{local.day} {_MONTHS[language][local.month - 1]} {local.year}, {local:%H.%M} {zone}"


def age(older: datetime, newer: datetime) -> timedelta:
    """Time between an acquisition and the run, never below zero."""
    return max(newer - older, timedelta(0))


def age_words(older: datetime, newer: datetime) -> str:
    """Age in both languages: hours below two days, else days."""
    hours = int(age(older, newer).total_seconds() // 3600)
    return f"{hours} jam / {hours} h" if hours < 48 else f"{hours // 24} hari / {hours // 24} days"


def number(value: float, language: Language) -> str:
    """One decimal, with the comma that Indonesian uses."""
    text = f"{value:.1f}"
    return text.replace(".", ",") if language == "id" else text


def new_alerts(alerts: Sequence[Alert], events: Sequence[AlertEvent]) -> list[Alert]:
    """The alerts that this night created and that are still open."""
    created = {event.alert_id for event in events if event.kind is EventKind.CREATED}
    return [alert for alert in alerts if alert.id in created and alert.status.is_open]


def picture_text(aoi: Aoi, at: datetime, alerts: Sequence[Alert], events: Sequence[AlertEvent]) -> PictureText:
    """The words for one night of one area."""
    zone = aoi.properties.timezone
    new = new_alerts(alerts, events)
    known = sum(alert.status.is_open for alert in alerts) - len(new)
    names = dict.fromkeys((aoi.properties.name_id, aoi.properties.name_en))
    return PictureText(
        title=f"{' / '.join(names)} · {local_time(at, zone)}",
        found_id=_found_id(new, known),
        found_en=_found_en(new, known),
        footer="Indikasi dari citra satelit, belum tentu pelanggaran. / Indications from satellite images.",
    )


def _found_id(new: Sequence[Alert], known: int) -> str:
    area = number(sum(alert.area_ha for alert in new), "id")
    first = f"{len(new)} peringatan baru, {area} ha" if new else "Tidak ada peringatan baru"
    return f"{first} · {known} peringatan lama masih terbuka" if known else first


def _found_en(new: Sequence[Alert], known: int) -> str:
    area = number(sum(alert.area_ha for alert in new), "en")
    noun = "alert" if len(new) == 1 else "alerts"
    first = f"{len(new)} new {noun}, {area} ha" if new else "No new alerts"
    return f"{first} · {known} older still open" if known else first
