"""Alerts drawn on one side of the picture: status by shape, age by brightness, tonight's with a thick line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.path import Path as Outline
from numpy.typing import NDArray
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from enggang.alerts.records import Alert, AlertStatus
from enggang.publish.colours import age_ramp, ramp_rgb
from enggang.types import AnyArray

AGE = age_ramp(365, "age of the alert in days", "umur peringatan dalam hari")
#: Opacity: what stands, or is gone, must show through.
CONFIRMED_FILL = 0.22
#: A new alert smaller than this on the screen, in pixels, gets a ring around it, or nobody would find it.
_FINDABLE = 14
#: Relative luminance from which a line needs a dark edge, and below it a bright one.
_BRIGHT = 0.35
_LUMINANCE = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True, slots=True)
class Pen:
    """How alerts are drawn on one side. `unit`: line width in points; `pixel`: screen pixels per image pixel."""

    geobox: GeoBox
    night: date
    unit: float
    pixel: float


def draw_alerts(axes: Axes, alerts: Sequence[Alert], new: Iterable[str], pen: Pen) -> None:
    """Draw standing alerts, then tonight's (`new` ids) on top, then crosses for withdrawn ones. A merged alert is not
    drawn: its survivor holds its ground."""
    fresh = frozenset(new)
    withdrawn = [a for a in alerts if a.status is AlertStatus.WITHDRAWN]
    shown = sorted((a for a in alerts if a.status.is_standing), key=lambda a: (a.first_seen, a.id))
    _outlines(axes, [a for a in shown if a.id not in fresh], 1.3 * pen.unit, pen)
    newest = [a for a in shown if a.id in fresh]
    _outlines(axes, newest, 2.2 * pen.unit, pen)
    _rings(axes, newest, pen)
    _crosses(axes, withdrawn, pen)


def age_colours(days: Sequence[int]) -> NDArray[np.float64]:
    """Colours of alerts of these ages: (n, 3) float64, 0–1."""
    colours: NDArray[np.float64] = ramp_rgb(np.asarray(days, dtype=np.float64), AGE) / 255.0
    return colours


def _outlines(axes: Axes, alerts: Sequence[Alert], width: float, pen: Pen) -> None:
    if not alerts:
        return
    paths = [_path(outline) for outline in _on_grid(alerts, pen.geobox)]
    colours = age_colours([(pen.night - alert.first_seen).days for alert in alerts])
    filled = [alert.status in (AlertStatus.CONFIRMED, AlertStatus.FINISHED) for alert in alerts]
    fills = np.column_stack([colours, np.where(filled, CONFIRMED_FILL, 0.0)])
    for face, ink, line in (("none", _halo(colours), width + 1.6 * pen.unit), (fills, colours, width)):
        drawn = PathCollection(paths, facecolors=face, edgecolors=ink, linewidths=line, joinstyle="round")
        axes.add_collection(drawn, autolim=False)


def _rings(axes: Axes, alerts: Sequence[Alert], pen: Pen) -> None:
    west, north, east, south = shapely.bounds(_on_grid(alerts, pen.geobox)).reshape(-1, 4).T
    small = np.maximum(east - west, south - north) * pen.pixel < _FINDABLE
    at = {"x": ((west + east) / 2)[small], "y": ((north + south) / 2)[small], "marker": "o", "facecolors": "none"}
    colour = age_colours([0])[0]
    for ink, width in (("black", 3.8), (tuple(colour), 2.2)):
        axes.scatter(**at, s=(12 * pen.unit) ** 2, edgecolors=[ink], linewidths=width * pen.unit)


def _crosses(axes: Axes, alerts: Sequence[Alert], pen: Pen) -> None:
    at = shapely.get_coordinates(shapely.centroid(_on_grid(alerts, pen.geobox)))
    for ink, width in (("black", 3.6), ("white", 1.6)):
        axes.scatter(at[:, 0], at[:, 1], s=(8 * pen.unit) ** 2, marker="x", c=ink, linewidths=width * pen.unit)


def _halo(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Black around bright lines and white around dark ones, so that they show on any ground: (n, 3) float64."""
    bright = colours @ np.array(_LUMINANCE) > _BRIGHT
    return np.repeat(np.where(bright, 0.0, 1.0)[:, None], 3, axis=1)


def _on_grid(alerts: Sequence[Alert], geobox: GeoBox) -> AnyArray:
    """Outlines from WGS84 to (column, row) of the image, fractional: (n,) geometries."""
    to_crs = CRS("EPSG:4326").transformer_to_crs(CRS(str(geobox.crs)))
    to_pixel = ~geobox.transform

    def apply(points: AnyArray) -> AnyArray:
        columns, rows = to_pixel @ to_crs(points[:, 0], points[:, 1])
        return np.column_stack([columns, rows])

    outlines = np.array([alert.geometry for alert in alerts], dtype=object)
    placed: AnyArray = shapely.transform(outlines, apply) if alerts else outlines
    return placed


def _path(outline: BaseGeometry) -> Outline:
    polygons = outline.geoms if isinstance(outline, MultiPolygon) else [outline]
    rings = [ring for polygon in polygons for ring in (polygon.exterior, *polygon.interiors)]
    return Outline.make_compound_path(*(Outline(np.asarray(ring.coords), closed=True) for ring in rings))
