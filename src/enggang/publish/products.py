"""One night's products: every layer, the alerts and the picture, then the catalogue, and `latest.json` last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

from enggang.alerts.records import AlertEvent
from enggang.alerts.words import EVENT_WORDS
from enggang.errors import DiskFull, EnggangError, PublishError
from enggang.files import write_json
from enggang.layout import Layout
from enggang.publish.cog import write_cog
from enggang.publish.folders import Placed, locked, place
from enggang.publish.imagery import Imagery, NightPicture
from enggang.publish.latest import LatestNight, move_latest
from enggang.publish.layers import LAYERS, Layer
from enggang.publish.picture import PICTURES, write_pictures
from enggang.publish.release import Block, NightRelease, PublishedNight
from enggang.publish.stac import ALERTS, ITEM, Product, ProductFile, raster_fields, update_catalogue, write_item
from enggang.publish.thumbnail import write_thumbnail
from enggang.publish.vector import VECTOR_FORMATS, write_alerts
from enggang.types import EPOCH, AnyArray, Failure, utc

_COG_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"
_EVENTS = "events.json"
_THUMBNAIL = "thumbnail.png"


def publish_night(release: NightRelease, layout: Layout) -> PublishedNight:
    """Publish one area's night; safe to repeat, and to run for several areas at once.

    Each product becomes visible by one rename of a complete folder, and is never changed: other content for the same
    night becomes a revision `<night>-r2`. A product that can't be made is recorded as a `Failure`, the others go on,
    and `latest.json` stays where it is. Raises `DiskFull` without space: what was served before is still served.
    """
    _require_consistent(release)
    with locked(layout.lock(f"publish-{release.aoi.id}")):
        placed: dict[str, Placed] = {}
        failures: list[Failure] = []
        for name, task in _tasks(release, layout, placed):
            try:
                placed[name] = task()
            except DiskFull:
                raise
            except EnggangError as error:
                what = f"{name} of {release.aoi.id}, {release.night.isoformat()}"
                failures.append(Failure(what, type(error).__name__, error.what, error.remedy))
        written = sum(one.written for one in placed.values())
        written += update_catalogue(layout)
        night = _published(release, layout, placed, failures)
        if night.complete:
            written += move_latest(layout, release.aoi.id, _latest(release, night, layout, placed))
    return replace(night, written=written)


def _require_consistent(release: NightRelease) -> None:
    if release.at.tzinfo is None:
        raise PublishError(f"the run time {release.at.isoformat()} has no zone", "give it in UTC")
    if (release.before is None) != (release.after is None):
        raise PublishError("a picture needs imagery before and after", "give both, or neither")
    strangers = [alert.id for alert in release.alerts if alert.aoi != release.aoi.id]
    if strangers:
        raise PublishError(f"alert {strangers[0]} is not of {release.aoi.id}", "publish each area by itself")


def _tasks(release: NightRelease, layout: Layout, placed: dict[str, Placed]) -> list[tuple[str, Callable[[], Placed]]]:
    """Layers first: the alerts' item names the layers they come from."""

    def of_layer(layer: Layer) -> Callable[[], Placed]:
        return lambda: _place_layer(release, layout, layer)

    tasks: list[tuple[str, Callable[[], Placed]]] = [(name, of_layer(layer)) for name, layer in LAYERS.items()]
    return [*tasks, (ALERTS, lambda: _place_alerts(release, layout, placed))]


def _place_layer(release: NightRelease, layout: Layout, layer: Layer) -> Placed:
    name = f"{layer.name}.tif"

    def stored(window: Block) -> AnyArray:
        return layer.derive({array: release.read(array, window) for array in layer.needs})

    def build(folder: Path) -> None:
        cog = write_cog(folder / name, layer, release.aoi.geobox, stored, _tags(release, layer))
        write_thumbnail(folder / _THUMBNAIL, cog, layer, release.night)

    files = (
        ProductFile("data", name, f"{layer.title_en} / {layer.title_id}", _COG_TYPE, ("data",), raster_fields(layer)),
        ProductFile("thumbnail", _THUMBNAIL, "Thumbnail", "image/png", ("thumbnail",)),
    )
    return _place(release, layout, build, _product(release, layer.name, files))


def _place_alerts(release: NightRelease, layout: Layout, placed: dict[str, Placed]) -> Placed:
    def build(folder: Path) -> None:
        write_alerts(folder, release.alerts, release.at)
        events = [_event(event) for event in release.events]
        write_json(folder / _EVENTS, {"aoi": release.aoi.id, "night": release.night, "events": events})
        if release.before is not None and release.after is not None:
            write_pictures(folder, _picture(release, release.before, release.after))

    files = [
        ProductFile(form.name, f"alerts{form.suffix}", form.title, form.media_type, ("data",))
        for form in VECTOR_FORMATS.values()
    ]
    files.append(ProductFile("events", _EVENTS, "What changed this night", "application/json", ("metadata",)))
    if release.before is not None:
        files.extend(ProductFile(p.key, p.name, p.title, p.media_type, p.roles) for p in PICTURES)
    origins = tuple(f"{_href(layout, one.folder)}/{ITEM}" for one in placed.values())
    return _place(release, layout, build, _product(release, ALERTS, tuple(files), origins))


def _place(release: NightRelease, layout: Layout, build: Callable[[Path], None], product: Product) -> Placed:
    folder = layout.product(product.collection, release.aoi.id, release.night)
    return place(folder, build, lambda made, revision: write_item(made, product, revision))


def _product(
    release: NightRelease, collection: str, files: tuple[ProductFile, ...], derived_from: tuple[str, ...] = ()
) -> Product:
    return Product(
        collection=collection,
        aoi=release.aoi.id,
        night=release.night,
        at=release.at,
        geobox=release.aoi.geobox,
        versions=release.versions,
        sources=release.sources,
        files=files,
        derived_from=derived_from,
    )


def _tags(release: NightRelease, layer: Layer) -> dict[str, str]:
    """What a raster says of itself wherever it is copied to. No time of writing: equal input gives equal bytes."""
    return {
        "ENGGANG_LAYER": layer.name,
        "ENGGANG_AOI": release.aoi.id,
        "ENGGANG_NIGHT": release.night.isoformat(),
        "ENGGANG_PUBLISHED_FOR": utc(release.at),
        "ENGGANG_DATE_EPOCH": EPOCH.isoformat(),
        **{f"ENGGANG_{key.upper()}": value for key, value in _versions(release).items()},
    }


def _versions(release: NightRelease) -> dict[str, str]:
    made_by = release.versions
    return {"model": made_by.model, "state": made_by.state, "data": made_by.data, "software": made_by.software}


def _event(event: AlertEvent) -> dict[str, Any]:
    words = EVENT_WORDS[event.kind]
    return {
        "id": event.id,
        "alert_id": event.alert_id,
        "kind": event.kind.value,
        "kind_en": words.en,
        "kind_id": words.id,
        "night": event.night,
        "at": utc(event.at),
        "status": event.status.value,
        "area_ha": event.area_ha,
        "probability": event.probability,
        "detail": event.detail,
    }


def _picture(release: NightRelease, before: Imagery, after: Imagery) -> NightPicture:
    return NightPicture(
        aoi=release.aoi,
        night=release.night,
        at=release.at,
        alerts=release.alerts,
        events=release.events,
        before=before,
        after=after,
    )


def _href(layout: Layout, path: Path) -> str:
    return path.relative_to(layout.products).as_posix()


def _published(
    release: NightRelease, layout: Layout, placed: dict[str, Placed], failures: list[Failure]
) -> PublishedNight:
    layers = {name: _href(layout, placed[name].folder / f"{name}.tif") for name in LAYERS if name in placed}
    alerts = placed[ALERTS].folder if ALERTS in placed else None
    forms = (
        {form.name: _href(layout, alerts / f"alerts{form.suffix}") for form in VECTOR_FORMATS.values()}
        if alerts
        else {}
    )
    shown = {p.key: _href(layout, alerts / p.name) for p in PICTURES} if alerts and release.before is not None else {}
    return PublishedNight(
        aoi=release.aoi.id,
        night=release.night,
        layers=layers,
        alerts=forms,
        events=_href(layout, alerts / _EVENTS) if alerts else None,
        picture=shown.get("picture"),
        picture_small=shown.get("picture_small"),
        written=0,
        failures=tuple(failures),
    )


def _latest(release: NightRelease, night: PublishedNight, layout: Layout, placed: dict[str, Placed]) -> LatestNight:
    return LatestNight(
        night=release.night,
        published_for=release.at.astimezone(UTC),
        layers=night.layers,
        alerts=night.alerts,
        events=night.events or "",
        items={name: f"{_href(layout, one.folder)}/{ITEM}" for name, one in placed.items()},
        versions=_versions(release),
        picture=night.picture,
        picture_small=night.picture_small,
    )
