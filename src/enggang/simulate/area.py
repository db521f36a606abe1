"""The demo's area of interest: the very grid of its archive."""

from __future__ import annotations

from typing import Any

import shapely

from enggang.aoi import Aoi, parse_aoi
from enggang.simulate.items import bounds_wgs84
from enggang.simulate.spec import DemoSpec

AOI_ID = "demo"


def demo_feature(spec: DemoSpec | None = None, source: str = "demo") -> dict[str, Any]:
    """The GeoJSON feature of the demo AOI; `source` is the catalogue's name or path."""
    spec = spec or DemoSpec()
    geobox = spec.geobox
    properties = {
        "id": AOI_ID,
        "name_id": "Hutan percontohan (simulasi)",
        "name_en": "Demo forest (simulated)",
        "crs": str(geobox.crs),
        "resolution_m": spec.resolution_m,
        "monitors": ["kaltim"],
        "monitor_from": spec.monitor_from.isoformat(),
        "source": source,
        "grid": {"shape": list(geobox.shape), "transform": list(geobox.transform)[:6]},
        "provenance": {"made_by": "enggang.simulate.area.demo_feature", "note": "simulated ground, no real place"},
    }
    outline = shapely.geometry.mapping(shapely.box(*bounds_wgs84(geobox)))
    return {"type": "Feature", "id": AOI_ID, "geometry": outline, "properties": properties}


def demo_aoi(spec: DemoSpec | None = None, source: str = "demo") -> Aoi:
    """The demo AOI, validated as any other."""
    return parse_aoi(demo_feature(spec, source), "the demo AOI")
