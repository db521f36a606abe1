"""The picture: what stands on it, where alerts lie, its size limits, and equal pixels for equal input."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from odc.geo.geobox import GeoBox
from PIL import Image

from enggang.alerts.records import Alert, AlertStatus
from enggang.errors import PublishError
from enggang.publish.colours import CIVIDIS, rgb
from enggang.publish.imagery import Imagery, NightPicture
from enggang.publish.picture import PICTURES, draw, write_pictures
from enggang.publish.picture_sheet import sheet
from enggang.publish.picture_words import age_words, local_time, picture_text
from enggang.publish.samples import sample_aoi, sample_imagery, sample_release

NIGHT = date(2026, 11, 24)
NEW = np.array(rgb(CIVIDIS[-1]))


def _picture(alerts: tuple[Alert, ...] | None = None, grey: bool = False) -> NightPicture:
    release = sample_release(NIGHT)
    sides = [sample_imagery(release.aoi, NIGHT, cleared, grey) for cleared in (False, True)]
    shown = release.alerts if alerts is None else alerts
    events = tuple(e for e in release.events if e.alert_id in {a.id for a in shown})
    return NightPicture(release.aoi, NIGHT, release.at, shown, events, sides[0], sides[1])


def _bright(image: np.ndarray) -> np.ndarray:
    """Where the ink of a new alert lies: (y, x) bool."""
    return np.abs(image.astype(int) - NEW).max(axis=-1) < 12


def _panels(figure: Figure) -> list[tuple[int, int, int, int]]:
    """(top, bottom, left, right) of both sides in pixels of the image."""
    boxes = [axes.get_window_extent() for axes in figure.axes]
    high = figure.bbox.height
    return [(round(high - b.y1), round(high - b.y0), round(b.x0), round(b.x1)) for b in boxes]


def _texts(figure: Figure) -> str:
    legend = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return "\n".join([text.get_text() for text in figure.texts] + legend)


def test_variants_keep_their_limits(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, _picture())
    for form in PICTURES:
        with Image.open(paths[form.key]) as image:
            assert image.width == form.width <= 1600
            assert not image.info.get("Software")
        assert paths[form.key].stat().st_size <= (form.largest or 3_000_000)
    assert paths["picture_small"].stat().st_size <= 60_000


def test_even_noise_fits_into_a_message(tmp_path: Path) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (600, 600, 3), dtype=np.uint8)
    geobox = GeoBox.from_bbox((500_000, 9_874_000, 506_000, 9_880_000), crs="EPSG:32750", resolution=10)
    side = Imagery(noise, geobox, datetime(2026, 11, 20, tzinfo=UTC), "Sentinel-2")
    paths = write_pictures(tmp_path, replace(_picture(), before=side, after=side))
    assert paths["picture_small"].stat().st_size <= 60_000


def test_words_stand_on_it_in_both_languages_with_zone_and_age() -> None:
    texts = _texts(sheet(_picture(), 800))
    for words in (
        "24 Nov 2026, 02.00 WITA",
        "1 peringatan baru, 0,3 ha · 2 peringatan lama masih terbuka",
        "1 new alert, 0.3 ha · 2 older still open",
        "SEBELUM / BEFORE · 26 Agu 2026, 10.20 WITA · Sentinel-2",
        "SESUDAH / AFTER · 22 Nov 2026, 10.20 WITA · Sentinel-2",
        "39 jam / 39 h",
        "tidak teramati / not observed",
        "terkonfirmasi / confirmed",
    ):
        assert words in texts


def test_no_alert_is_said_and_the_picture_still_drawn() -> None:
    texts = _texts(sheet(_picture(alerts=()), 800))
    assert "Tidak ada peringatan baru" in texts
    assert "No new alerts" in texts
    image = draw(_picture(alerts=(), grey=True), 900)
    assert image.std() > 20


@pytest.mark.parametrize("grey", [False, True])
def test_a_new_alert_is_outlined_where_it_lies_on_both_sides(grey: bool) -> None:
    new = sample_release(NIGHT).alerts[:1]
    picture = _picture(alerts=new, grey=grey)
    image, without = draw(picture, 800), draw(_picture(alerts=(), grey=grey), 800)
    for top, bottom, left, right in _panels(sheet(picture, 800)):
        rows, columns = np.nonzero(_bright(image[top:bottom, left:right]))
        scale = (right - left) / 64
        assert rows.min() / scale == pytest.approx(10, abs=0.5)
        assert rows.max() / scale == pytest.approx(14, abs=0.5)
        assert columns.min() / scale == pytest.approx(8, abs=0.5)
        assert columns.max() / scale == pytest.approx(16, abs=0.5)
        assert not _bright(without[top:bottom, left:right]).any()


def test_status_is_told_by_shape() -> None:
    alert = sample_release(NIGHT).alerts[0]
    plain = draw(_picture(alerts=(alert,)), 800)
    top, _, left, right = _panels(sheet(_picture(), 800))[1]
    scale = (right - left) / 64
    inside = (
        slice(round(top + 11 * scale), round(top + 13 * scale)),
        slice(round(left + 9 * scale), round(left + 15 * scale)),
    )
    filled = draw(_picture(alerts=(replace(alert, status=AlertStatus.CONFIRMED),)), 800)
    assert (filled[inside].mean(axis=(0, 1)) - plain[inside].mean(axis=(0, 1)))[:2].min() > 15
    merged = draw(_picture(alerts=(replace(alert, status=AlertStatus.MERGED),)), 800)
    assert not _bright(merged[top:, left:right][: round(40 * scale)]).any()


def test_a_merged_alert_is_not_drawn_over_its_survivor() -> None:
    alerts = _picture().alerts
    gone = replace(alerts[0], status=AlertStatus.MERGED, merged_into=alerts[1].id)
    with_merged, without = draw(_picture((gone, *alerts[1:])), 1600), draw(_picture(alerts[1:]), 1600)
    assert np.array_equal(with_merged, without)
    assert not np.array_equal(with_merged, draw(_picture(alerts), 1600))


def test_not_observed_is_hatched() -> None:
    image = draw(_picture(), 800)
    top, _, left, right = _panels(sheet(_picture(), 800))[1]
    scale = (right - left) / 64
    hidden = image[top + 4 : round(top + 7 * scale), left + 4 : left + 300].astype(int)
    assert (hidden.min(axis=-1) > 190).mean() > 0.2
    assert (hidden.max(axis=-1) < 110).mean() > 0.4


def test_scale_bar_is_true_in_metres_and_in_degrees() -> None:
    degrees = GeoBox.from_bbox((100.0, -60.1, 100.2, -60.0), crs="EPSG:4326", resolution=0.001)
    pixels = np.zeros((100, 200), np.uint8)
    side = Imagery(pixels, degrees, datetime(2026, 11, 20, tzinfo=UTC), "Sentinel-1")
    polar = sheet(replace(_picture(alerts=()), before=side, after=side), 800)
    for figure, metres_per_pixel in ((sheet(_picture(), 800), 10.0), (polar, 111_320 * 0.001 * 0.4987)):
        axes = figure.axes[0]
        bar = next(line for line in axes.lines if line.get_color() == "white")
        ends = np.asarray(bar.get_xdata(), dtype=float)
        label = next(t.get_text() for t in axes.texts if t.get_text().endswith("m"))
        value, unit = label.split()
        length = float(value) * (1000 if unit == "km" else 1)
        assert (ends[1] - ends[0]) * metres_per_pixel == pytest.approx(length, rel=0.01)


def test_a_high_area_makes_a_narrower_sheet_with_room_for_its_words() -> None:
    high = GeoBox.from_bbox((500_000, 9_870_000, 501_000, 9_880_000), crs="EPSG:32750", resolution=20)
    side = Imagery(np.zeros((500, 50), np.uint8), high, datetime(2026, 11, 20, tzinfo=UTC), "Sentinel-1")
    figure = sheet(replace(_picture(), before=side, after=side), 900)
    assert 600 < figure.bbox.width < 900
    assert figure.bbox.height < 900
    words = [text for text in figure.texts if text.get_text().startswith(("SEBELUM", "SESUDAH"))]
    before, after = (text.get_window_extent() for text in words)
    assert before.x1 < after.x0
    assert after.x1 < figure.bbox.width


def test_equal_input_gives_equal_bytes_also_from_several_threads(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda name: write_pictures(tmp_path / name, _picture()), "abc"))
    for form in PICTURES:
        assert len({paths[form.key].read_bytes() for paths in made}) == 1


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Asia/Makassar", "1 Mei 2026, 01.30 WITA"),
        ("Asia/Jakarta", "1 Mei 2026, 00.30 WIB"),
        ("America/La_Paz", "30 Apr 2026, 13.30 UTC-04"),
    ],
)
def test_times_are_local_and_name_their_zone(zone: str, expected: str) -> None:
    assert local_time(datetime(2026, 4, 30, 17, 30, tzinfo=UTC), zone) == expected


def test_age_goes_from_hours_to_days_and_never_below_zero() -> None:
    at = datetime(2026, 11, 23, 18, tzinfo=UTC)
    assert age_words(at - timedelta(hours=5), at) == "5 jam / 5 h"
    assert age_words(at - timedelta(days=15), at) == "15 hari / 15 days"
    assert age_words(at + timedelta(hours=1), at) == "0 jam / 0 h"


def test_a_withdrawn_alert_is_not_counted_as_new() -> None:
    release = sample_release(NIGHT)
    gone = tuple(replace(a, status=AlertStatus.WITHDRAWN) for a in release.alerts)
    assert picture_text(sample_aoi(), release.at, gone, release.events).found_en == "No new alerts"


def test_imagery_that_does_not_fit_its_grid_is_refused() -> None:
    geobox = sample_aoi().geobox
    with pytest.raises(PublishError, match=r"uint8 \(48, 63\) on a grid of \(48, 64\)"):
        Imagery(np.zeros((48, 63), np.uint8), geobox, datetime(2026, 11, 20, tzinfo=UTC), "Sentinel-2")
