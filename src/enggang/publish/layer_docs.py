"""`docs/layers.md`, written from the layer table: `python -m enggang.publish.layer_docs docs/layers.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from enggang.files import write_bytes
from enggang.publish.colours import ClassColour, Classes
from enggang.publish.layers import LAYERS, Layer
from enggang.publish.vector import VECTOR_FORMATS

_HEAD = """# Layers and formats

Written by `python -m enggang.publish.layer_docs docs/layers.md` from `src/enggang/publish/layers.py`, where a new layer
is one more entry. Physical value = stored × scale + offset.

- `products/latest.json`: area → `night`, `published_for` (UTC), `versions` and the hrefs of `layers`, `alerts` (by
  format), `events`, `items`, `picture` and `picture_small` (null without imagery). It moves last, and never to an older
  night.
- `products/<layer>/<aoi>/<night>/`: `<layer>.tif` (COG), `thumbnail.png`, `item.json` (STAC). Never changed: what
  corrects the same night is `<night>-r2`.
- `products/alerts/<aoi>/<night>/`: the alerts in every format below, `events.json`, `picture.png`, `picture-small.jpg`
  (at most 60 kB), `item.json`.
- `products/catalog.json`, `products/<layer>/collection.json`: the static STAC catalogue, with the newest revision of
  each night.
"""


def layers_markdown() -> str:
    """The whole document."""
    table = [
        "| layer | title | dtype | nodata | unit | scale, offset | from state arrays | overviews |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(layer) for layer in LAYERS.values()),
    ]
    return "\n".join([_HEAD, *table, "", *(_section(layer) for layer in LAYERS.values()), _formats()])


def _row(layer: Layer) -> str:
    cells = (
        f"`{layer.name}`",
        f"{layer.title_en} / {layer.title_id}",
        layer.dtype,
        layer.nodata,
        layer.unit,
        f"{layer.scale:g}, {layer.offset:g}",
        ", ".join(f"`{need}`" for need in layer.needs),
        layer.overviews,
    )
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _section(layer: Layer) -> str:
    colours = layer.colours
    lines = [f"## {layer.name}", "", layer.description_en, "", layer.description_id, ""]
    if isinstance(colours, Classes):
        lines += _classes(colours.entries)
    else:
        lines += [f"| {colours.label_en} / {colours.label_id} | colour |", "|---|---|"]
        lines += [f"| {position:g} | `{colour}` |" for position, colour in colours.stops]
        lines += ["", *_classes(colours.special)] if colours.special else []
    return "\n".join([*lines, ""])


def _classes(entries: tuple[ClassColour, ...]) -> list[str]:
    rows = [
        f"| {int(e.value)} | {e.label_en} / {e.label_id} | `{e.colour}`{', hatched' if e.hatched else ''} |"
        for e in entries
    ]
    return ["| value | meaning | colour |", "|---|---|---|", *rows]


def _formats() -> str:
    rows = [f"| `{f.name}` | {f.title} | `alerts{f.suffix}` | {f.media_type} |" for f in VECTOR_FORMATS.values()]
    return "\n".join(
        ["## Alerts", "", "| key in latest.json | format | file | media type |", "|---|---|---|---|", *rows, ""]
    )


if __name__ == "__main__":
    write_bytes(Path(sys.argv[1]), layers_markdown().encode())
