"""A small archive, jobs on it and a comparison of what nights leave behind, for faults of the nightly stage."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest

from enggang.aoi import parse_aoi
from enggang.monitors.config import load_monitor
from enggang.monitors.history import state_version
from enggang.monitors.reader import content_digest
from enggang.settings import Settings
from enggang.simulate import DemoSpec, write_demo_archive
from enggang.simulate.area import demo_feature
from enggang.sources.registry import open_source
from enggang.stages.job import Job
from enggang.stages.night import run_night

#: The last night that `home` has seen; the scenes of the next days raise alerts.
LAST_NIGHT = date(2026, 1, 20)
#: Parts of a home whose bytes may differ between runs of equal outcome: random names, process ids.
_PRIVATE = {"repo", "seals", "locks"}

MakeJob = Callable[..., Job]


@pytest.fixture(scope="session")
def quick_spec() -> DemoSpec:
    """64 px, five months of history and two months to monitor; alerts begin in January 2026."""
    days = {"start": date(2025, 7, 20), "monitor_from": date(2026, 1, 1), "end": date(2026, 2, 28)}
    return DemoSpec(seed=3, size=64, cloud_cover=0.3, **days)


@pytest.fixture(scope="session")
def quick_archive(quick_spec: DemoSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the archive; read only."""
    return write_demo_archive(tmp_path_factory.mktemp("archive") / "demo", quick_spec).parent


@pytest.fixture
def own_archive(quick_archive: Path, tmp_path: Path) -> Path:
    """A copy of the archive for tests that change it; its scenes have the same fingerprints."""
    return Path(shutil.copytree(quick_archive, tmp_path / "demo"))


@pytest.fixture(scope="session")
def make_job(quick_spec: DemoSpec, quick_archive: Path) -> MakeJob:
    """`make_job(home, archive=…, monitor=…, aoi={property: value}, setting=value …)`."""

    def make(home: Path, archive: Path = quick_archive, monitor: Any = "kaltim", **changes: Any) -> Job:
        feature = demo_feature(quick_spec)
        feature["properties"] |= changes.pop("aoi", {})
        settings = Settings.model_validate({"home": home, "min_free_share": 0.0, "workers": 2, **changes})
        config = load_monitor(monitor) if isinstance(monitor, str) else monitor
        return Job(parse_aoi(feature, "the test's AOI"), config, settings, open_source(str(archive)))

    return make


@pytest.fixture(scope="session")
def seen_home(make_job: MakeJob, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with a baseline and the night `LAST_NIGHT`, published; read only."""
    home = tmp_path_factory.mktemp("seen") / "home"
    assert run_night(make_job(home), LAST_NIGHT).outcome == "complete"
    return home


@pytest.fixture
def home(seen_home: Path, tmp_path: Path) -> Path:
    """A copy of `seen_home` to go on with."""
    return Path(shutil.copytree(seen_home, tmp_path / "home"))


@pytest.fixture(scope="session")
def tree() -> Callable[[Path], dict[str, str]]:
    """`tree(home)`: SHA-256 of every file that must not depend on how often a run was interrupted."""

    def digests(home: Path) -> dict[str, str]:
        files = (p for p in sorted(home.rglob("*")) if p.is_file())
        names = ((p, p.relative_to(home)) for p in files)
        kept = ((p, n) for p, n in names if not _PRIVATE & set(n.parts) and not n.name.startswith("lease."))
        return {str(n): hashlib.sha256(p.read_bytes()).hexdigest() for p, n in kept}

    return digests


@pytest.fixture(scope="session")
def outcome(tree: Callable[[Path], dict[str, str]]) -> Callable[[Job], dict[str, Any]]:
    """`outcome(job)`: all that a run left behind, to be compared with `==`."""

    def of(job: Job) -> dict[str, Any]:
        log = job.store.log()
        scenes = [(c.kind, c.scene_id, c.fingerprint, orjson.dumps(dict(c.extra))) for c in log]
        pixels = content_digest(job.store.reader())
        return {"files": tree(job.settings.home), "pixels": pixels, "version": state_version(log), "log": scenes}

    return of


@pytest.fixture
def case(tmp_path: Path, quick_spec: DemoSpec, quick_archive: Path) -> Callable[..., Path]:
    """`case(first, last, archive=…, setting=value …)` writes what `nightly_process.py` reads; the folder."""

    def write(first: date, last: date, archive: Path = quick_archive, **settings: Any) -> Path:
        document = {
            "aoi": demo_feature(quick_spec),
            "archive": str(archive),
            "monitor": "kaltim",
            "settings": {"min_free_share": 0.0, "workers": 2, **settings},
            "first": first,
            "last": last,
        }
        (tmp_path / "case.json").write_bytes(orjson.dumps(document))
        return tmp_path

    return write
