"""The layer table: every raster that is published, declared once.

Writers, STAC items, legends, thumbnails, `docs/layers.md` and tests derive from it; a new layer is one more entry in
`LAYERS`. State arrays and their packing are described in docs/architecture.md.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
from scipy.special import expit

from enggang.alerts.records import AlertStatus
from enggang.alerts.words import STATUS_WORDS
from enggang.errors import PublishError
from enggang.publish.colours import CIVIDIS, ClassColour, Classes, Colours, Ramp, age_ramp
from enggang.types import AnyArray, BoolArray, PixelStatus

#: Value of the packed `log_odds` of a pixel that has no belief.
_NO_BELIEF = -32768
_LOG_ODDS_SCALE = 0.01
_PERCENT_NODATA = 255
_DATE_OUTSIDE = 65535
#: The GFW integrated alerts keep four digits for the day; the last one they can say is 2042-05-18.
_GFW_LAST_DAY = 9999
_GFW_CONFIDENCE = MappingProxyType({PixelStatus.FLAGGED: 2, PixelStatus.PROVISIONAL: 3, PixelStatus.CONFIRMED: 4})
_DAYS = "days since 2014-12-31"


@dataclass(frozen=True, slots=True)
class Layer:
    """One published raster.

    Physical value = stored * scale + offset, in `unit`. `needs` names the state arrays, all (y, x) and as packed on
    disk, from which `derive` makes the stored values: (y, x) in `dtype`, `nodata` where there is nothing to say.
    `overviews` is GDAL's name of the resampling that keeps the layer's meaning when zoomed out; "mode" counts valid
    pixels alone, so that where nodata means "no alert" the smallest alert stays in sight.
    """

    name: str
    title_en: str
    title_id: str
    description_en: str
    description_id: str
    dtype: Literal["uint8", "uint16"]
    nodata: int
    unit: str
    needs: tuple[str, ...]
    derive: Callable[[Mapping[str, AnyArray]], AnyArray]
    colours: Colours
    overviews: Literal["nearest", "mode", "average"]
    scale: float = 1.0
    offset: float = 0.0


def _status(state: Mapping[str, AnyArray]) -> AnyArray:
    return state["status"].astype(np.uint8)


def _probability(state: Mapping[str, AnyArray]) -> AnyArray:
    packed, status = state["log_odds"], state["status"]
    silent = (packed == _NO_BELIEF) | np.isin(status, (PixelStatus.UNKNOWN, PixelStatus.NONFOREST, PixelStatus.OUTSIDE))
    log_odds = packed.astype(np.float32) * np.float32(_LOG_ODDS_SCALE)
    return np.where(silent, _PERCENT_NODATA, np.rint(100.0 * expit(log_odds))).astype(np.uint8)


def _disturbed(status: AnyArray) -> BoolArray:
    found: BoolArray = np.isin(status, tuple(_GFW_CONFIDENCE))
    return found


def _first_disturbed(state: Mapping[str, AnyArray]) -> AnyArray:
    return np.where(_disturbed(state["status"]), state["first_disturbed"], 0).astype(np.uint16)


def _last_valid(state: Mapping[str, AnyArray]) -> AnyArray:
    outside = state["status"] == PixelStatus.OUTSIDE
    return np.where(outside, _DATE_OUTSIDE, state["last_valid"]).astype(np.uint16)


def _date_conf(state: Mapping[str, AnyArray]) -> AnyArray:
    status, day = state["status"], state["flagged_on"].astype(np.uint32)
    disturbed = _disturbed(status)
    if bool((day[disturbed] > _GFW_LAST_DAY).any()):
        raise PublishError("date_conf can't say a date after 2042-05-17", "read first_disturbed and status instead")
    code = np.zeros(status.shape, dtype=np.uint16)
    for value, confidence in _GFW_CONFIDENCE.items():
        at = status == value
        code[at] = confidence * 10000 + day[at]
    return code


def _day_of_code(code: AnyArray) -> AnyArray:
    return code % 10000


def _words(status: AlertStatus) -> tuple[str, str]:
    return STATUS_WORDS[status].en, STATUS_WORDS[status].id


_STATUS_CLASSES = Classes(
    (
        ClassColour(PixelStatus.UNKNOWN, "#b0b0b0", "not observed", "tidak teramati", hatched=True),
        ClassColour(PixelStatus.FOREST, "#dcead9", "forest", "hutan"),
        ClassColour(PixelStatus.FLAGGED, "#ffd54a", *_words(AlertStatus.FLAGGED)),
        ClassColour(PixelStatus.PROVISIONAL, "#e07b00", *_words(AlertStatus.PROVISIONAL)),
        ClassColour(PixelStatus.CONFIRMED, "#5b1a8b", *_words(AlertStatus.CONFIRMED)),
        ClassColour(PixelStatus.NONFOREST, "#f3eee2", "not forest before", "bukan hutan sebelumnya"),
    )
)

_NEVER = ClassColour(0, "#b0b0b0", "never observed", "belum pernah teramati", hatched=True)

_TABLE = (
    Layer(
        name="status",
        title_en="Alert status",
        title_id="Status peringatan",
        description_en="What is believed of each pixel after the night's scenes.",
        description_id="Keadaan setiap piksel setelah citra malam itu diolah.",
        dtype="uint8",
        nodata=int(PixelStatus.OUTSIDE),
        unit="class",
        needs=("status",),
        derive=_status,
        colours=_STATUS_CLASSES,
        overviews="mode",
    ),
    Layer(
        name="probability",
        title_en="Probability that forest is gone",
        title_id="Peluang hutan telah hilang",
        description_en="Per cent; nodata where there is no belief: never observed, not forest before, or outside.",
        description_id="Persen; kosong bila belum teramati, bukan hutan sebelumnya, atau di luar wilayah.",
        dtype="uint8",
        nodata=_PERCENT_NODATA,
        unit="%",
        needs=("log_odds", "status"),
        derive=_probability,
        colours=Ramp(tuple(zip((0.0, 25.0, 50.0, 75.0, 100.0), CIVIDIS, strict=True)), "value", "per cent", "persen"),
        overviews="average",
    ),
    Layer(
        name="first_disturbed",
        title_en="First-disturbed date",
        title_id="Tanggal gangguan pertama",
        description_en="Date of the earliest observation that shows the change, of flagged pixels and above; 0 = none.",
        description_id="Tanggal pengamatan paling awal yang menunjukkan perubahan; 0 = tidak ada.",
        dtype="uint16",
        nodata=0,
        unit=_DAYS,
        needs=("first_disturbed", "status"),
        derive=_first_disturbed,
        colours=age_ramp(365, "age of the change in days", "umur perubahan dalam hari"),
        overviews="mode",
    ),
    Layer(
        name="last_valid",
        title_en="Where we cannot see: last valid observation",
        title_id="Yang tidak terlihat: pengamatan sah terakhir",
        description_en="Date of the last observation free of cloud and shadow; 0 = never observed, nodata = outside.",
        description_id="Tanggal pengamatan terakhir tanpa awan dan bayangan; 0 = belum pernah, kosong = di luar.",
        dtype="uint16",
        nodata=_DATE_OUTSIDE,
        unit=_DAYS,
        needs=("last_valid", "status"),
        derive=_last_valid,
        colours=replace(
            age_ramp(60, "days since the last observation", "hari sejak pengamatan terakhir"), special=(_NEVER,)
        ),
        overviews="nearest",
    ),
    Layer(
        name="date_conf",
        title_en="Date and confidence, as in the GFW integrated alerts",
        title_id="Tanggal dan tingkat kepercayaan, seperti peringatan terpadu GFW",
        description_en="Confidence × 10000 + day of the flag; 2 = flagged, 3 = provisional, 4 = confirmed; 0 = none.",
        description_id="Tingkat kepercayaan × 10000 + hari; 2 = indikasi, 3 = indikasi kuat, 4 = terkonfirmasi.",
        dtype="uint16",
        nodata=0,
        unit=f"confidence * 10000 + {_DAYS}",
        needs=("flagged_on", "status"),
        derive=_date_conf,
        colours=replace(age_ramp(365, "days since the flag", "hari sejak indikasi"), key=_day_of_code),
        overviews="mode",
    ),
)

#: name → layer, in the order in which they are published and shown.
LAYERS: Mapping[str, Layer] = MappingProxyType({layer.name: layer for layer in _TABLE})


def layer(name: str) -> Layer:
    """The layer called `name`. Raises `PublishError`, with the nearest known name, where there is none."""
    if name not in LAYERS:
        near = difflib.get_close_matches(name, LAYERS, n=1)
        raise PublishError(f"no layer {name}", f"did you mean {near[0]}?" if near else f"known: {', '.join(LAYERS)}")
    return LAYERS[name]
