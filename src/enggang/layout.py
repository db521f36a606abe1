"""Where everything lies below the home folder. Paths are made here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below `home`. Nothing is created by asking for a path."""

    home: Path

    def archive(self, name: str) -> Path:
        """Folder of a scene archive made here (the demo, an imported stack); holds `catalog.json`."""
        return self.home / "archives" / name

    def state(self, aoi: str, monitor: str) -> Path:
        """Folder of one monitor's state: the icechunk repository and the writer's lease."""
        return self.home / "state" / aoi / monitor

    def ledger(self, aoi: str, monitor: str) -> Path:
        """Folder of the nights of one monitor's alert ledger."""
        return self.home / "ledger" / aoi / monitor

    @property
    def products(self) -> Path:
        """The public folder: immutable products, the STAC catalogue, `latest.json`."""
        return self.home / "products"

    def product(self, layer: str, aoi: str, night: date) -> Path:
        """Folder of one immutable product."""
        return self.products / layer / aoi / night.isoformat()

    @property
    def latest(self) -> Path:
        """The pointer to what is current; it moves last."""
        return self.products / "latest.json"

    def lock(self, name: str) -> Path:
        """Lock file that writers of one shared thing hold; outside of the public folder."""
        return self.home / "locks" / f"{name}.lock"

    def run(self, aoi: str, night: date) -> Path:
        """The run summary of one night."""
        return self.home / "runs" / aoi / f"{night.isoformat()}.json"

    def boundaries(self) -> Path:
        """GeoPackage of imported district boundaries; may be absent."""
        return self.home / "boundaries.gpkg"
