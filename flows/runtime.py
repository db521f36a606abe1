"""What Prefect is told before it is imported, and how the library's lines reach its log."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from types import MappingProxyType

#: Kept where a deployment sets nothing else. A start-up that times out leaves a half-migrated database that fails for
#: ever, so it gets two minutes; nothing is reported to anyone; the library's own log goes with the run.
ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "enggang",
    }
)


def prepare(environ: MutableMapping[str, str]) -> None:
    """Set what `environ` doesn't say itself."""
    for name, value in ENVIRONMENT.items():
        environ.setdefault(name, value)


def upgrade_database(environ: Mapping[str, str]) -> None:
    """Bring the database of the in-process server up to date before it starts: the migration is not cut off by the
    start-up's time limit then. Where a server is given (PREFECT_API_URL) that is the server's business.

    Raises `subprocess.CalledProcessError`.
    """
    if environ.get("PREFECT_API_URL"):
        return
    command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
    subprocess.run(command, check=True, env=dict(environ), stdout=subprocess.DEVNULL)


class RunLog:
    """Progress as lines in the log of the Prefect run."""

    @contextmanager
    def step(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """See `enggang.stages.progress.Progress.step`."""
        if total:
            self.say(f"{what}: {total} to do")
        yield lambda: None

    def say(self, line: str) -> None:
        """See `enggang.stages.progress.Progress.say`."""
        from prefect import get_run_logger

        get_run_logger().info(line)
