"""Areas of interest: `aoi/<id>.geojson` → one validated record → one GeoBox."""

from __future__ import annotations

import difflib
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import orjson
import shapely
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pyproj.exceptions import CRSError
from rasterio.features import rasterize
from shapely.geometry.base import BaseGeometry

from enggang.errors import AoiError
from enggang.types import AnyArray, BoolArray


class Grid(BaseModel):
    """An explicit pixel grid, for AOIs that keep the grid of an existing stack: `shape` is (rows, columns),
    `transform` the six affine numbers a, b, c, d, e, f in units of the AOI's CRS."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: tuple[int, int]
    transform: tuple[float, float, float, float, float, float]


class AoiProperties(BaseModel):
    """The properties of an AOI feature, validated; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    name_id: str
    name_en: str
    crs: str
    resolution_m: float = Field(gt=0)
    monitors: tuple[str, ...] = Field(min_length=1)
    monitor_from: date
    timezone: str = "Asia/Makassar"
    source: str = Field(default="earth-search", description="name in data_catalog.yaml, or a catalogue path or URL")
    channels: tuple[str, ...] = ()
    grid: Grid | None = None
    coarse: bool = Field(default=False, description="the outline was drawn by hand and is no boundary")
    sentinel2_tiles: tuple[str, ...] = ()
    provenance: dict[str, Any] = Field(default_factory=dict)

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"no time zone {value}; names are those of the IANA database") from error
        return value

    @field_validator("crs")
    @classmethod
    def _crs_exists(cls, value: str) -> str:
        try:
            CRS(value)
        except CRSError as error:
            raise ValueError(f"no coordinate reference system {value}; write it as EPSG:<code>") from error
        return value

    @model_validator(mode="after")
    def _metres(self) -> Self:
        crs = CRS(self.crs)
        if self.grid is None and (not crs.projected or set(crs.units) != {"metre"}):
            raise ValueError(f"crs {self.crs} is not in metres, and without an explicit grid pixels are")
        return self


class Aoi(BaseModel):
    """An area of interest: its properties and its outline in WGS84 (longitude, latitude)."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    properties: AoiProperties
    geometry: BaseGeometry

    @property
    def id(self) -> str:
        """The AOI's id; also the name of its file."""
        return self.properties.id

    @cached_property
    def geobox(self) -> GeoBox:
        """The working grid: the explicit one, else the outline's bounds snapped outward to whole pixels."""
        props = self.properties
        if props.grid is not None:
            return GeoBox(props.grid.shape, Affine(*props.grid.transform), props.crs)
        return GeoBox.from_geopolygon(self._projected, resolution=props.resolution_m, anchor="edge")

    @cached_property
    def _projected(self) -> Geometry:
        """The outline in the working CRS, densified so that long edges stay true."""
        return Geometry(self.geometry, "EPSG:4326").to_crs(self.properties.crs, resolution=0.01)

    def inside(self, geobox: GeoBox) -> BoolArray:
        """Pixels of `geobox` whose centre lies in the outline: (y, x) bool."""
        if self.properties.grid is not None:
            return np.ones(geobox.shape, dtype=bool)
        shape = (int(geobox.shape[0]), int(geobox.shape[1]))
        burned: AnyArray = rasterize([self._projected.geom], out_shape=shape, transform=geobox.transform, dtype="uint8")
        return burned.astype(bool)


def parse_aoi(feature: dict[str, Any], where: str) -> Aoi:
    """Validate one GeoJSON feature. `where` names it in errors (`AoiError`)."""
    try:
        geometry = shapely.geometry.shape(feature["geometry"])
        properties = AoiProperties.model_validate(feature["properties"])
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(p) for p in first["loc"]) or "properties"
        raise AoiError(f"{where}: {field}: {first['msg']}", _remedy(field, first["type"])) from error
    except (KeyError, TypeError, AttributeError, shapely.errors.ShapelyError) as error:
        raise AoiError(f"{where} is not a GeoJSON feature ({error})", "see aoi/README.md") from error
    if geometry.is_empty or geometry.geom_type not in ("Polygon", "MultiPolygon"):
        raise AoiError(f"{where}: the outline is an empty or non-areal {geometry.geom_type}", "give a polygon")
    _check_outline(geometry, where)
    return Aoi(properties=properties, geometry=geometry)


def _check_outline(geometry: BaseGeometry, where: str) -> None:
    west, south, east, north = geometry.bounds
    if not (west >= -180 and east <= 180 and south >= -90 and north <= 90):
        raise AoiError(
            f"{where}: the outline reaches {geometry.bounds}, outside of longitude ±180 and latitude ±90",
            "GeoJSON wants longitude first, WGS84 degrees; `enggang aoi add` converts any other file",
        )
    if not geometry.is_valid:
        raise AoiError(
            f"{where}: the outline is invalid ({shapely.is_valid_reason(geometry)})",
            "repair it with `enggang aoi add`, or in a GIS",
        )


def aoi_bytes(aoi: Aoi) -> bytes:
    """The file of an AOI: properties one a line for people, coordinates on one line; equal AOIs give equal bytes."""
    values = aoi.properties.model_dump(mode="json", exclude_unset=True)
    properties = b",\n".join(b"  %b: %b" % (orjson.dumps(key), orjson.dumps(value)) for key, value in values.items())
    geometry = orjson.dumps(shapely.geometry.mapping(aoi.geometry))
    return b'{\n"type": "Feature",\n"properties": {\n%b\n},\n"geometry": %b\n}\n' % (properties, geometry)


def load_aoi(aoi_id: str, folder: Path) -> Aoi:
    """Read `folder/<aoi_id>.geojson`. Raises `AoiError`, with the nearest known id, where it can't."""
    path = folder / f"{aoi_id}.geojson"
    if not path.is_file():
        known = list_aois(folder)
        near = difflib.get_close_matches(aoi_id, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known) or 'none'}"
        raise AoiError(f"no AOI {aoi_id} in {folder}", hint)
    try:
        feature = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise AoiError(f"{path} is not JSON ({error})", "restore the file") from error
    aoi = parse_aoi(feature, str(path))
    if aoi.id != aoi_id:
        raise AoiError(f"{path} says id {aoi.id}", f"rename the file to {aoi.id}.geojson or correct the id")
    return aoi


def list_aois(folder: Path) -> list[str]:
    """Ids of all AOIs in `folder`, sorted."""
    return sorted(p.stem for p in folder.glob("*.geojson"))


def _remedy(field: str, kind: str) -> str:
    if kind == "extra_forbidden":
        known = ", ".join(AoiProperties.model_fields)
        near = difflib.get_close_matches(field, AoiProperties.model_fields, n=1)
        return f"did you mean {near[0]}?" if near else f"known: {known}"
    return "correct the property; see aoi/README.md"
