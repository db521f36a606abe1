"""The sheet around the two sides: title, legend, scale bar, north, dates and age."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from enggang.alerts.records import Alert, AlertStatus, EventKind
from enggang.publish.imagery import Imagery, NightPicture
from enggang.publish.picture_alerts import CONFIRMED_FILL, Pen, age_colours, draw_alerts
from enggang.publish.picture_words import age_words, local_time, new_alerts, picture_text

_DPI = 100
_GROUND = "#1d1f21"
_INK = "#f4f4f4"
_QUIET = "#c9c9c9"
_MARGIN = 0.012
#: A side is at most this many times as high as its half of the sheet is wide; a higher area makes a narrower sheet.
_TALLEST = 1.5
#: Share of the width that the words above a side need, however narrow the area is.
_NARROWEST = 0.38
_METRES_PER_DEGREE = 111_320.0
_STRIPE = 10


@dataclass(frozen=True, slots=True)
class _Frame:
    """Measures of one sheet in pixels. `line` is the height of a line of text."""

    margin: float
    line: float
    side_width: float
    side_height: float

    @property
    def width(self) -> int:
        return round(2 * self.side_width + 3 * self.margin)

    @property
    def header(self) -> float:
        return 5.6 * self.line

    @property
    def footer(self) -> float:
        return 5.0 * self.line

    @property
    def height(self) -> int:
        return round(self.header + self.side_height + self.footer)

    @property
    def points(self) -> float:
        """Font size of body text."""
        return self.line * 72 / _DPI / 1.45


def sheet(picture: NightPicture, width: int) -> Figure:
    """Lay out one picture, `width` pixels wide; the caller holds matplotlib's lock."""
    frame = _frame(picture, width)
    figure = Figure(figsize=(frame.width / _DPI, frame.height / _DPI), dpi=_DPI, facecolor=_GROUND)
    _write_header(figure, picture, frame)
    left = frame.margin / frame.width
    right = 1 - left - frame.side_width / frame.width
    for side, x, name in ((picture.before, left, "SEBELUM / BEFORE"), (picture.after, right, "SESUDAH / AFTER")):
        _draw_side(figure, picture, side, (x, name), frame)
    _write_footer(figure, picture, frame)
    return figure


def _frame(picture: NightPicture, width: int) -> _Frame:
    rows, columns = (int(n) for n in picture.after.geobox.shape)
    half, ratio = width * (1 - 3 * _MARGIN) / 2, rows / columns
    return _Frame(
        margin=_MARGIN * width,
        line=max(17.0, 0.0155 * width),
        side_width=max(half * min(1.0, _TALLEST / ratio), _NARROWEST * width),
        side_height=half * min(_TALLEST, ratio),
    )


def _write_header(figure: Figure, picture: NightPicture, frame: _Frame) -> None:
    text = picture_text(picture.aoi, picture.at, picture.alerts, picture.events)

    def line(row: float, words: str, size: float, colour: str, weight: str = "normal") -> None:
        y = 1 - row * frame.line / frame.height
        x = frame.margin / frame.width
        figure.text(x, y, words, fontsize=frame.points * size, color=colour, weight=weight, va="center")

    line(0.9, text.title, 1.25, _INK, "bold")
    line(2.15, text.found_id, 1.1, "#ffd54a")
    line(3.2, text.found_en, 1.0, _INK)


def _draw_side(figure: Figure, picture: NightPicture, side: Imagery, placed: tuple[float, str], frame: _Frame) -> None:
    x, name = placed
    size = (frame.side_width / frame.width, frame.side_height / frame.height)
    axes = figure.add_axes((x, frame.footer / frame.height, *size))
    rows, columns = (int(n) for n in side.geobox.shape)
    pixel = min(frame.side_width / columns, frame.side_height / rows)
    _show(axes, side, pixel)
    unit = frame.line / 20
    fresh = [alert.id for alert in new_alerts(picture.alerts, picture.events)]
    draw_alerts(axes, _shown(picture), fresh, Pen(side.geobox, picture.night, unit, pixel))
    _scale_bar(axes, side.geobox, frame.points, frame.line / pixel)
    _north(axes, side.geobox, frame.points, frame.line / pixel)
    caption = f"{name} · {local_time(side.acquired, picture.aoi.properties.timezone)} · {side.sensor}"
    y = (frame.footer + frame.side_height + 0.75 * frame.line) / frame.height
    figure.text(x, y, caption, fontsize=frame.points * 0.95, color=_INK, va="center")


def _shown(picture: NightPicture) -> list[Alert]:
    """Standing alerts, and what was withdrawn tonight; a merged one is drawn as its survivor."""
    gone = {event.alert_id for event in picture.events if event.kind is EventKind.WITHDRAWN}
    return [
        alert
        for alert in picture.alerts
        if alert.status.is_standing or (alert.status is AlertStatus.WITHDRAWN and alert.id in gone)
    ]


def _show(axes: Axes, side: Imagery, pixel: float) -> None:
    rows, columns = side.pixels.shape[:2]
    extent = (0, columns, rows, 0)
    smooth = "nearest" if pixel >= 1 else "antialiased"
    axes.imshow(side.pixels, extent=extent, cmap="gray", vmin=0, vmax=255, interpolation=smooth)
    if side.observed is not None and not side.observed.all():
        axes.imshow(_hatched(side.observed, pixel), extent=extent, interpolation="nearest")
    axes.set(xlim=(0, columns), ylim=(rows, 0), xticks=[], yticks=[], facecolor=_GROUND, anchor="W")
    for edge in axes.spines.values():
        edge.set_color("#777777")


def _hatched(observed: NDArray[np.bool_], pixel: float) -> NDArray[np.uint8]:
    """Stripes over what was not observed: (y, x, 4) uint8 RGBA at the resolution of the screen."""
    rows = (np.arange(round(observed.shape[0] * pixel)) / pixel).astype(int).clip(max=observed.shape[0] - 1)
    columns = (np.arange(round(observed.shape[1] * pixel)) / pixel).astype(int).clip(max=observed.shape[1] - 1)
    hidden = ~observed[np.ix_(rows, columns)]
    stripe = np.add.outer(np.arange(len(rows)), np.arange(len(columns))) % _STRIPE < 3
    overlay = np.zeros((*hidden.shape, 4), dtype=np.uint8)
    overlay[hidden] = (60, 60, 60, 170)
    overlay[hidden & stripe] = (235, 235, 235, 210)
    return overlay


def _metres_per_pixel(geobox: GeoBox) -> float:
    """Width of a pixel on the ground in metres, at the middle of the picture."""
    step = abs(float(geobox.transform.a))
    if geobox.crs is not None and geobox.crs.geographic:
        middle = geobox.extent.centroid.coords[0][1]
        return step * _METRES_PER_DEGREE * math.cos(math.radians(middle))
    return step


def _scale_bar(axes: Axes, geobox: GeoBox, points: float, line: float) -> None:
    """A bar of a round length at the lower left; `line` is the height of a line of text in image pixels."""
    rows, columns = (int(n) for n in geobox.shape)
    step = _metres_per_pixel(geobox)
    metres = _round_length(columns * step / 4)
    left, y, length = line, rows - line, metres / step
    for ink, width in (("black", 0.46), ("white", 0.27)):
        axes.plot([left, left + length], [y, y], color=ink, linewidth=width * points, solid_capstyle="butt")
    label = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
    _outlined(axes, (left + length / 2, y - 0.4 * line), label, points)


def _round_length(metres: float) -> float:
    power = 10.0 ** math.floor(math.log10(metres))
    return float(max(factor for factor in (1, 2, 5) if factor * power <= metres) * power)


def _north(axes: Axes, geobox: GeoBox, points: float, line: float) -> None:
    """U = utara. Rows of a north-up grid run south, which a negative row step says."""
    columns = int(geobox.shape[1])
    x, tip, foot = columns - 1.8 * line, 1.9 * line, 3.9 * line
    if float(geobox.transform.e) > 0:
        tip, foot = foot, tip
    arrow = {"arrowstyle": "-|>", "color": "white", "linewidth": 0.14 * points, "mutation_scale": points}
    note = axes.annotate("", xy=(x, tip), xytext=(x, foot), arrowprops=arrow)
    if note.arrow_patch is not None:
        note.arrow_patch.set_path_effects([withStroke(linewidth=0.28 * points, foreground="black")])
    _outlined(axes, (x, 1.7 * line), "U / N", points)


def _outlined(axes: Axes, at: tuple[float, float], words: str, points: float) -> None:
    text = axes.text(*at, words, fontsize=points, color="white", ha="center", va="bottom", weight="bold")
    text.set_path_effects([withStroke(linewidth=0.22 * points, foreground="black")])


def _write_footer(figure: Figure, picture: NightPicture, frame: _Frame) -> None:
    handles = _legend_handles(frame.line / 20)
    legend = figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(frame.margin / frame.width, (frame.footer - 0.35 * frame.line) / frame.height),
        ncols=3,
        frameon=False,
        fontsize=frame.points * 0.9,
        labelcolor=_INK,
        borderaxespad=0,
        borderpad=0,
        handlelength=2.0,
    )
    legend.set_in_layout(False)
    text = picture_text(picture.aoi, picture.at, picture.alerts, picture.events)
    old = age_words(picture.after.acquired, picture.at)
    lines = (f"Umur citra sesudah / age of the after image: {old}", text.footer)
    for row, words in zip((1.75, 0.7), lines, strict=True):
        y = row * frame.line / frame.height
        figure.text(frame.margin / frame.width, y, words, fontsize=frame.points * 0.88, color=_QUIET, va="center")


def _legend_handles(unit: float) -> list[Line2D | Patch]:
    new, old = (tuple(colour) for colour in age_colours([0, 110]))
    return [
        Patch(facecolor="none", edgecolor=new, linewidth=2.2 * unit, label="baru malam ini / new tonight"),
        Patch(facecolor="none", edgecolor=old, linewidth=1.3 * unit, label="lebih lama, makin gelap / older, darker"),
        Patch(facecolor=(*new, CONFIRMED_FILL), edgecolor=new, linewidth=1.3 * unit, label="terkonfirmasi / confirmed"),
        Patch(facecolor="none", edgecolor=new, linewidth=1.3 * unit, label="indikasi / indication"),
        Line2D(
            [],
            [],
            marker="x",
            linestyle="none",
            color="white",
            markeredgewidth=1.6 * unit,
            label="dibatalkan / withdrawn",
        ),
        Patch(facecolor="#3c3c3c", edgecolor="#ebebeb", hatch="////", label="tidak teramati / not observed"),
    ]
