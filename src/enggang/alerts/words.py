"""What people are told: every status and event in English and in Bahasa Indonesia as the ministries use it.

An alert is an "indikasi" until it is confirmed, and never "illegal": licensed felling looks the same from above.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from enggang.alerts.records import AlertStatus, EventKind

Language = Literal["en", "id"]


@dataclass(frozen=True, slots=True)
class Words:
    """One term in both languages."""

    en: str
    id: str

    def get(self, language: Language) -> str:
        """The term in `language`."""
        return self.en if language == "en" else self.id


STATUS_WORDS: Mapping[AlertStatus, Words] = MappingProxyType(
    {
        AlertStatus.FLAGGED: Words("indication", "indikasi"),
        AlertStatus.PROVISIONAL: Words("strong indication", "indikasi kuat"),
        AlertStatus.CONFIRMED: Words("confirmed", "terkonfirmasi"),
        AlertStatus.WITHDRAWN: Words("withdrawn", "dibatalkan"),
        AlertStatus.FINISHED: Words("finished", "selesai"),
        AlertStatus.MERGED: Words("merged", "digabung"),
    }
)

EVENT_WORDS: Mapping[EventKind, Words] = MappingProxyType(
    {
        EventKind.CREATED: Words("new alert", "peringatan baru"),
        EventKind.SPLIT: Words("split", "terpecah"),
        EventKind.MERGED: Words("merged into an older alert", "digabung ke peringatan yang lebih lama"),
        EventKind.GROWN: Words("grown", "meluas"),
        EventKind.SHRUNK: Words("shrunk", "menyusut"),
        EventKind.PROVISIONAL: Words("now a strong indication", "menjadi indikasi kuat"),
        EventKind.CONFIRMED: Words("confirmed", "terkonfirmasi"),
        EventKind.DEMOTED: Words("back to an indication", "kembali menjadi indikasi"),
        EventKind.WITHDRAWN: Words("withdrawn", "dibatalkan"),
        EventKind.FINISHED: Words("finished: no more growth", "selesai: tidak meluas lagi"),
        EventKind.REOPENED: Words("growing again", "meluas kembali"),
    }
)
