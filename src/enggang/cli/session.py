"""What one call of the program knows: the global options, the settings and the time."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enggang.settings import Settings
    from enggang.stages.job import Job

ALL = "all"


@dataclass(frozen=True, slots=True)
class Session:
    """The global options. `home` None = ENGGANG_HOME or its default."""

    home: Path | None = None
    verbose: bool = False

    def settings(self, default_home: Path | None = None) -> Settings:
        """Settings of the environment, with --home on top; `default_home` where neither names one.

        Raises `ConfigError`.
        """
        from enggang.settings import load_settings

        settings = load_settings()
        unset = "home" not in settings.model_fields_set
        home = self.home or (default_home if unset else None)
        return settings if home is None else settings.model_copy(update={"home": home})


_CURRENT: ContextVar[Session] = ContextVar("session")


def begin(session: Session) -> None:
    """Make `session` that of this call."""
    _CURRENT.set(session)


def current() -> Session:
    """The session of this call; so commands need no context among their parameters."""
    return _CURRENT.get(Session())


def now() -> datetime:
    """The present in UTC: the only clock of Enggang."""
    return datetime.now(UTC)


def aoi_ids(text: str, settings: Settings) -> list[str]:
    """The areas named in `text`, in its order: ids with commas between them, or `all`.

    Raises `AoiError` where it names none.
    """
    from enggang.aoi import list_aois
    from enggang.errors import AoiError

    known = list_aois(settings.aoi_dir)
    wanted = known if text.strip() == ALL else [part.strip() for part in text.split(",") if part.strip()]
    if not wanted:
        raise AoiError("no AOI named", f"known: {', '.join(known) or 'none; make one with enggang aoi add'}")
    return list(dict.fromkeys(wanted))


def job_of(aoi: str, settings: Settings, source: str | None = None) -> Job:
    """The job of an area. Raises `AoiError`, `ConfigError`."""
    from enggang.stages.job import open_job

    return open_job(aoi, settings, source)
