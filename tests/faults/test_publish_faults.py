"""Promise P3 for products: killed or out of space at any write point, the old night is served and a rerun completes."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from odc.geo.geobox import GeoBox

from enggang.errors import DiskFull
from enggang.files import read_json
from enggang.layout import Layout
from enggang.publish.cog import write_cog
from enggang.publish.latest import read_latest
from enggang.publish.layers import LAYERS
from enggang.publish.products import publish_night
from enggang.publish.samples import sample_release

HERE = Path(__file__).parent
OLD, NEW = date(2026, 11, 24), date(2026, 11, 25)
KILLED, FULL, SURVIVED = -9, 3, 0


def _tree(layout: Layout) -> dict[str, bytes]:
    return {str(p.relative_to(layout.products)): p.read_bytes() for p in layout.products.rglob("*") if p.is_file()}


@contextmanager
def _files_at_most(size: int) -> Iterator[None]:
    """The kernel refuses to let any file of this process grow beyond `size` bytes (EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "outcomes"), [("kill", {KILLED}), ("full", {FULL, SURVIVED})])
def test_a_fault_at_any_write_point_harms_no_reader_and_a_rerun_completes(
    mode: str, outcomes: set[int], tmp_path: Path
) -> None:
    script = [sys.executable, "-W", "ignore", str(HERE / "publish_under_fault.py"), str(tmp_path), mode, "4"]
    done = subprocess.run(script, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["wrong"] == []
    assert len(report["statuses"]) >= 12
    assert set(report["statuses"]) == outcomes, done.stderr


def test_a_disk_that_is_really_full_leaves_the_old_night_served(tmp_path: Path) -> None:
    layout, undisturbed = Layout(tmp_path / "home"), Layout(tmp_path / "undisturbed")
    for home, nights in ((layout, (OLD,)), (undisturbed, (OLD, NEW))):
        for night in nights:
            publish_night(sample_release(night), home)
    old = _tree(layout)
    largest = max(len(data) for name, data in _tree(undisturbed).items() if NEW.isoformat() in name)
    for size in (0, 300, 1_500, 2_500, 6_000, 30_000, 97_000, largest - 1):
        with _files_at_most(size), pytest.raises(DiskFull, match="free space and run the same command again"):
            publish_night(sample_release(NEW), layout)
        served = _tree(layout)
        assert all(served[name] == data for name, data in old.items())
        assert read_latest(layout)["sample"].night == OLD
        assert not list(layout.products.rglob(".part-*"))
    with _files_at_most(largest * 4):
        publish_night(sample_release(NEW), layout)
    assert _tree(layout) == _tree(undisturbed)


def test_a_cog_is_complete_or_refused_wherever_space_ends(tmp_path: Path) -> None:
    geobox = GeoBox.from_bbox((500_000, 9_874_000, 506_000, 9_880_000), crs="EPSG:32750", resolution=10)
    values = np.random.default_rng(3).integers(1, 5000, geobox.shape, dtype=np.uint16)
    layer = LAYERS["first_disturbed"]

    def write(path: Path) -> bytes:
        return write_cog(path, layer, geobox, lambda window: values[window], {}, block=256).read_bytes()

    whole = write(tmp_path / "whole.tif")
    for share in range(0, 100, 8):
        with _files_at_most(len(whole) * share // 100), pytest.raises(DiskFull):
            write(tmp_path / "part.tif")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["whole.tif"]
    with _files_at_most(len(whole) * 4):
        assert write(tmp_path / "part.tif") == whole


def test_two_hundred_readers_each_see_one_version(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    nights = [OLD + timedelta(days=n) for n in range(4)]
    publish_night(sample_release(nights[0], pictures=False), layout)
    script = [sys.executable, "-W", "ignore", str(HERE / "publish_readers.py"), str(tmp_path), "100"]
    readers = [subprocess.Popen(script, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for process in readers:
            assert process.stdout is not None
            assert process.stdout.readline() == "reading\n"
        for night in nights[1:]:
            assert publish_night(sample_release(night, pictures=False), layout).complete
    finally:
        (tmp_path / "stop").touch()
        reports = [json.loads(process.communicate(timeout=120)[0].splitlines()[-1]) for process in readers]
    assert [report["wrong"] for report in reports] == [[], []]
    assert sum(report["readers"] for report in reports) == 200
    assert sum(report["reads"] for report in reports) > 200
    seen = {night for report in reports for night in report["nights"]}
    assert len(seen) >= 2
    assert seen <= {night.isoformat() for night in nights}
    assert read_json(layout.latest)["sample"]["night"] == nights[-1].isoformat()
