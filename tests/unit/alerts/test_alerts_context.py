"""Districts: by largest overlap, none where there is no layer."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

from enggang.alerts.context import Districts, load_districts
from enggang.errors import ConfigError


def write(path: Path, layer: str = "districts", column: str = "name") -> Path:
    """Two districts that share the meridian of 117°, in another CRS than WGS84."""
    frame = geopandas.GeoDataFrame(
        {column: ["Barat", "Timur"]},
        geometry=[shapely.box(116, -1, 117, 0), shapely.box(117, -1, 118, 0)],
        crs="EPSG:4326",
    )
    frame.to_crs("EPSG:32750").to_file(path, layer=layer, driver="GPKG")
    return path


@pytest.fixture
def districts(tmp_path: Path) -> Districts:
    found = load_districts(write(tmp_path / "boundaries.gpkg"))
    assert found is not None
    return found


def test_an_alert_lies_where_most_of_it_lies(districts: Districts) -> None:
    alerts = np.array(
        [
            shapely.box(116.5, -0.5, 116.6, -0.4),
            shapely.box(116.98, -0.5, 117.01, -0.4),
            shapely.box(116.99, -0.5, 117.02, -0.4),
            shapely.box(120, -0.5, 120.1, -0.4),
            shapely.box(117.9, -0.5, 118.5, -0.4),
        ]
    )
    assert districts.name_at(alerts) == ["Barat", "Barat", "Timur", None, "Timur"]
    assert districts.name_at(alerts[:0]) == []


def test_no_file_is_no_layer(tmp_path: Path) -> None:
    assert load_districts(tmp_path / "boundaries.gpkg") is None


def test_a_wrong_file_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no layer districts"):
        load_districts(write(tmp_path / "a.gpkg", layer="kabupaten"))
    with pytest.raises(ConfigError, match="no column name"):
        load_districts(write(tmp_path / "b.gpkg", column="nama"))
    (tmp_path / "c.gpkg").write_bytes(b"not a database")
    with pytest.raises(ConfigError, match="can't be read"):
        load_districts(tmp_path / "c.gpkg")


def test_real_districts_of_east_kalimantan(shared_data: Path, tmp_path: Path) -> None:
    source = geopandas.read_file(shared_data / "boundaries" / "kaltim_kabupaten_kota.geojson")
    column = next(c for c in source.columns if source[c].astype(str).str.contains("Balikpapan").any())
    source.rename(columns={column: "name"}).to_file(tmp_path / "b.gpkg", layer="districts", driver="GPKG")
    found = load_districts(tmp_path / "b.gpkg")
    assert found is not None
    places = shapely.buffer(shapely.points([(116.85, -1.20), (117.15, -0.50), (112.0, -3.0)]), 0.01)
    balikpapan, samarinda, nowhere = found.name_at(places)
    assert balikpapan is not None
    assert "Balikpapan" in balikpapan
    assert samarinda is not None
    assert "Samarinda" in samarinda
    assert nowhere is None
