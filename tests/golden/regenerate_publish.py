"""Write the golden products anew: `python tests/golden/regenerate_publish.py`, then read the differences in git.

Golden files are the products of one sample night as this release made them. A change of them is a change of a released
format: it belongs into the commit's message.
"""

from __future__ import annotations

import shutil
import tempfile
from datetime import date
from pathlib import Path

from enggang.layout import Layout
from enggang.publish.products import publish_night
from enggang.publish.samples import sample_release

NIGHT = date(2026, 11, 24)
FOLDER = Path(__file__).parent / "publish"


def main() -> None:
    """Publish the sample night and keep rasters, GeoJSON, events, an item and `latest.json`."""
    with tempfile.TemporaryDirectory() as home:
        layout = Layout(Path(home))
        published = publish_night(sample_release(NIGHT, pictures=False), layout)
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
        hrefs = [*published.layers.values(), published.alerts["geojson"], published.events or ""]
        for href in hrefs:
            shutil.copy(layout.products / href, FOLDER / Path(href).name)
        shutil.copy(layout.latest, FOLDER / "latest.json")
        shutil.copy(layout.product("status", "sample", NIGHT) / "item.json", FOLDER / "item-status.json")


if __name__ == "__main__":
    main()
