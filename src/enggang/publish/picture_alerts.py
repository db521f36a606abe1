"""Alerts drawn on one side of the picture: status by shape, age by brightness, tonight's with a thick line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.patheffects import AbstractPathEffect, withStroke
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from enggang.alerts.records import Alert, AlertStatus
from enggang.publish.colours import age_ramp, ramp_rgb

AGE = age_ramp(365, "age of the alert in days", "umur peringatan dalam hari")
CONFIRMED_FILL = 0.45
#: An outline smaller than this on the screen, in pixels, gets a ring around it, or nobody would find it.
_FINDABLE = 14


@dataclass(frozen=True, slots=True)
class Pen:
    """How alerts are drawn on one side. `unit`: line width in points; `pixel`: screen pixels per image pixel."""

    geobox: GeoBox
    night: date
    unit: float
    pixel: float


def draw_alerts(axes: Axes, alerts: Sequence[Alert], new: Iterable[str], pen: Pen) -> None:
    """Draw open alerts, oldest first so that tonight's (`new` ids) lie on top, and crosses for withdrawn ones."""
    fresh = frozenset(new)
    for alert in sorted(alerts, key=lambda a: (a.id in fresh, a.first_seen, a.id)):
        outline = _on_grid(alert.geometry, pen.geobox)
        if alert.status is AlertStatus.WITHDRAWN:
            _cross(axes, outline, pen)
        else:
            _draw_open(axes, alert, outline, alert.id in fresh, pen)


def age_colour(days: int) -> tuple[float, float, float]:
    """Colour of an alert of that age, as matplotlib's three floats."""
    red, green, blue = (ramp_rgb(np.array(float(days)), AGE) / 255.0).tolist()
    return red, green, blue


def _draw_open(axes: Axes, alert: Alert, outline: BaseGeometry, fresh: bool, pen: Pen) -> None:
    colour = age_colour((pen.night - alert.first_seen).days)
    width = pen.unit * (2.2 if fresh else 1.3)
    filled = alert.status in (AlertStatus.CONFIRMED, AlertStatus.FINISHED)
    patch = PathPatch(
        _path(outline),
        facecolor=(*colour, CONFIRMED_FILL) if filled else "none",
        edgecolor=colour,
        linewidth=width,
        joinstyle="round",
    )
    patch.set_path_effects(_halo(colour, width, pen))
    axes.add_patch(patch)
    west, north, east, south = outline.bounds
    if max(east - west, south - north) * pen.pixel < _FINDABLE:
        _ring(axes, outline, colour, width, pen)


def _ring(axes: Axes, outline: BaseGeometry, colour: tuple[float, float, float], width: float, pen: Pen) -> None:
    at = outline.centroid
    (ring,) = axes.plot(
        [at.x],
        [at.y],
        "o",
        markersize=pen.unit * 12,
        markerfacecolor="none",
        markeredgecolor=colour,
        markeredgewidth=width,
    )
    ring.set_path_effects(_halo(colour, width, pen))


def _cross(axes: Axes, outline: BaseGeometry, pen: Pen) -> None:
    at = outline.centroid
    (mark,) = axes.plot([at.x], [at.y], "x", markersize=pen.unit * 8, color="white", markeredgewidth=pen.unit * 1.6)
    mark.set_path_effects([withStroke(linewidth=pen.unit * 3.6, foreground="black")])


def _halo(colour: tuple[float, float, float], width: float, pen: Pen) -> list[AbstractPathEffect]:
    """Bright lines need a dark edge on a bright ground, and dark lines a bright one."""
    luminance = 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]
    return [withStroke(linewidth=width + 1.6 * pen.unit, foreground="black" if luminance > 0.35 else "white")]


def _on_grid(outline: Polygon | MultiPolygon, geobox: GeoBox) -> BaseGeometry:
    """WGS84 → (column, row) of the image, fractional."""
    projected = Geometry(outline, "EPSG:4326").to_crs(str(geobox.crs)).geom
    to_pixel = ~geobox.transform

    def apply(points: np.ndarray) -> np.ndarray:
        columns, rows = to_pixel @ (points[:, 0], points[:, 1])
        return np.column_stack([columns, rows])

    return shapely.transform(projected, apply)


def _path(outline: BaseGeometry) -> Outline:
    polygons = outline.geoms if isinstance(outline, MultiPolygon) else [outline]
    rings = [ring for polygon in polygons for ring in (polygon.exterior, *polygon.interiors)]
    return Outline.make_compound_path(*(Outline(np.asarray(ring.coords), closed=True) for ring in rings))
