"""Where an alert lies: districts from a layer of boundaries that the user imports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError

from enggang.alerts.geometry import Geometries
from enggang.errors import ConfigError

#: Layer and column of the boundaries file.
LAYER = "districts"
COLUMN = "name"

#: Names the district of each WGS84 geometry; None = outside of all.
DistrictLookup = Callable[[Geometries], Sequence[str | None]]

_REMEDY = "import the district boundaries again"


@dataclass(frozen=True, slots=True)
class Districts:
    """District names and outlines in WGS84, and a spatial index over them."""

    names: tuple[str, ...]
    outlines: Geometries
    tree: shapely.STRtree

    def name_at(self, polygons: Geometries) -> list[str | None]:
        """For each WGS84 polygon the district with which it shares most ground, None where there is none.

        Areas are compared in square degrees, which is fair within one alert; ties go to the layer's first district.
        """
        found: list[str | None] = [None] * len(polygons)
        alert, district = self.tree.query(polygons, predicate="intersects")
        overlap = np.full(len(alert), np.inf)
        # An alert that meets one district alone needs no overlay.
        several = np.flatnonzero(np.bincount(alert, minlength=len(polygons))[alert] > 1)
        shared = shapely.intersection(polygons[alert[several]], self.outlines[district[several]])
        overlap[several] = shapely.area(shared)
        for n in np.lexsort((-district, overlap)).tolist():
            found[int(alert[n])] = self.names[int(district[n])]
        return found


def load_districts(path: Path) -> Districts | None:
    """Read the districts from the GeoPackage at `path`; None where it doesn't exist.

    Raises `ConfigError` where the file has no layer `LAYER`, no column `COLUMN`, no CRS, or can't be read.
    """
    if not path.is_file():
        return None
    try:
        if LAYER not in pyogrio.list_layers(path)[:, 0]:
            raise ConfigError(f"{path} has no layer {LAYER}", _REMEDY)
        frame = geopandas.read_file(path, layer=LAYER)
    except (DataSourceError, DataLayerError) as error:
        raise ConfigError(f"{path} can't be read ({error})", _REMEDY) from error
    if COLUMN not in frame.columns or frame.crs is None:
        missing = f"column {COLUMN}" if COLUMN not in frame.columns else "CRS"
        raise ConfigError(f"layer {LAYER} of {path} has no {missing}", _REMEDY)
    outlines = shapely.make_valid(frame.to_crs("EPSG:4326").geometry.to_numpy())
    return Districts(tuple(str(name) for name in frame[COLUMN]), outlines, shapely.STRtree(outlines))
