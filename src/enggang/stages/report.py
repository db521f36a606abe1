"""A night in the words of those who act on it, in Bahasa Indonesia and in English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from enggang.alerts.records import EventKind
from enggang.alerts.words import EVENT_WORDS, Language, Words
from enggang.aoi import Aoi
from enggang.publish.picture_words import age_words, local_time, number
from enggang.stages.coverage import STALE_DAYS
from enggang.stages.summary import NightSummary
from enggang.types import Sensor

SENSOR_WORDS: Mapping[Sensor, Words] = MappingProxyType(
    {"optical": Words("optical", "optik"), "sar": Words("radar", "radar")}
)
#: The events that an officer is told of, in this order.
_TOLD = (EventKind.CREATED, EventKind.PROVISIONAL, EventKind.CONFIRMED, EventKind.GROWN, EventKind.WITHDRAWN)
_OPEN = ("flagged", "provisional", "confirmed")


@dataclass(frozen=True, slots=True)
class NightReport:
    """Title and lines for people. Each of `lines` stands in both languages."""

    title: str
    lines: tuple[Words, ...]

    def text(self, language: Language) -> str:
        """All lines as one paragraph."""
        return " ".join(line.get(language) for line in self.lines)


def report_night(aoi: Aoi, summary: NightSummary, update: datetime) -> NightReport:
    """What was found, how old it is, what could not be seen, and when the next alerts come (`update`, UTC-aware)."""
    names = dict.fromkeys((aoi.properties.name_id, aoi.properties.name_en))
    zone = aoi.properties.timezone
    due = Words(
        f"Next update by {local_time(update, zone, 'en')}.",
        f"Pembaruan berikutnya paling lambat {local_time(update, zone, 'id')}.",
    )
    lines = (_found(summary), _age(summary), _unseen(summary), *_left_out(summary), due)
    return NightReport(f"{' / '.join(names)} · {summary.night.isoformat()}", lines)


def open_alerts(summary: NightSummary) -> int:
    """How many alerts are open at the end of the night."""
    return sum(summary.alerts.get(status, 0) for status in _OPEN)


def _found(summary: NightSummary) -> Words:
    told = [(EVENT_WORDS[kind], summary.events.get(kind.value, 0)) for kind in _TOLD]
    happened = [(words, times) for words, times in told if times]
    still = open_alerts(summary)
    if not summary.events.get(EventKind.CREATED.value, 0):
        happened.insert(0, (Words("checked, no new alerts", "diperiksa, tidak ada peringatan baru"), 0))
    english, indonesian = (
        ", ".join(f"{times} {words.get(language)}" if times else words.get(language) for words, times in happened)
        for language in ("en", "id")
    )
    return Words(
        f"{_capital(english)}; {still} open in all.", f"{_capital(indonesian)}; {still} peringatan masih terbuka."
    )


def _age(summary: NightSummary) -> Words:
    if not summary.last_scene:
        return Words("No scene has been seen yet.", "Belum ada citra.")
    parts = [
        (SENSOR_WORDS["sar" if sensor == "sar" else "optical"], age_words(newest, summary.at).split(" / "))
        for sensor, newest in summary.last_scene.items()
    ]
    english = ", ".join(f"{words.en} {age[1]}" for words, age in parts)
    indonesian = ", ".join(f"{words.id} {age[0]}" for words, age in parts)
    return Words(f"Age of the newest image: {english}.", f"Umur citra terbaru: {indonesian}.")


def _unseen(summary: NightSummary) -> Words:
    watched = summary.coverage.watched
    share = 100 * summary.coverage.stale / watched if watched else 100.0
    return Words(
        f"Not observed for {STALE_DAYS} days: {number(share, 'en')} % of the forest.",
        f"Tidak teramati {STALE_DAYS} hari: {number(share, 'id')} % hutan.",
    )


def _left_out(summary: NightSummary) -> tuple[Words, ...]:
    left = len(summary.failures)
    return (Words(f"{left} left out, tried again.", f"{left} tertunda, dicoba lagi."),) if left else ()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
