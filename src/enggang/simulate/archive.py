"""Write a demo archive: scenes, catalogue and truth, resumable at any point and repeatable to the byte."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import orjson

from enggang.errors import ConfigError
from enggang.files import read_json, remove_leftovers, write_atomic, write_json
from enggang.simulate.items import SENTINEL2, catalog_dict, collection_dict, item_dict, members
from enggang.simulate.optical import NODATA, render_optical
from enggang.simulate.passes import OPTICAL_COLLECTION, SAR_COLLECTION, Overpass, overpasses
from enggang.simulate.radar import NODATA as SAR_NODATA
from enggang.simulate.radar import render_sar
from enggang.simulate.rasters import save_cog
from enggang.simulate.signatures import BANDS
from enggang.simulate.spec import DemoSpec
from enggang.simulate.truth import write_truth
from enggang.simulate.world import World

#: Written first: what the archive is to become. Written last: that it is complete.
PLAN, MANIFEST = "plan.json", "manifest.json"

Progress = Callable[[int, int], None]


def write_demo_archive(
    folder: Path, spec: DemoSpec | None = None, progress: Progress | None = None, workers: int = 0
) -> Path:
    """Make the archive of `spec` in `folder` and return its `catalog.json`.

    A complete archive of the same parameters is left as it is, an interrupted one is finished. `progress` is called
    with (scenes done, scenes in all); `workers` threads render, 0 = one for each core. Raises `ConfigError` where
    `folder` holds anything else, and `DiskFull`.
    """
    spec = spec or DemoSpec()
    report = progress or _silent
    total = len(overpasses(spec))
    if _is_complete(folder, spec):
        report(total, total)
        return folder / "catalog.json"
    _claim(folder, spec)
    world = World.make(spec)
    missing = [one for one in overpasses(spec) if not _scene_folder(folder, one).is_dir()]
    report(total - len(missing), total)
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        futures = [pool.submit(_write_scene, folder, world, one) for one in missing]
        try:
            for done, future in enumerate(as_completed(futures), start=total - len(missing) + 1):
                future.result()
                report(done, total)
        finally:
            pool.shutdown(cancel_futures=True)
    write_truth(folder, world)
    for name in (OPTICAL_COLLECTION, SAR_COLLECTION):
        write_json(folder / name / "collection.json", collection_dict(spec, name, members(spec, name)))
    write_json(folder / "catalog.json", catalog_dict())
    write_json(folder / MANIFEST, {"scenes": total, "spec": spec.as_json()})
    return folder / "catalog.json"


def _silent(done: int, total: int) -> None:
    """Report nothing."""


def _is_complete(folder: Path, spec: DemoSpec) -> bool:
    manifest = folder / MANIFEST
    if not manifest.is_file() or read_json(manifest)["spec"] != spec.as_json():
        return False
    return all(_scene_folder(folder, one).is_dir() for one in overpasses(spec))


def _claim(folder: Path, spec: DemoSpec) -> None:
    """Mark an empty or absent folder for `spec`, or find it marked so; clear what a killed writer left."""
    plan = folder / PLAN
    if plan.is_file():
        if read_json(plan) != spec.as_json():
            raise ConfigError(
                f"{folder} holds a demo archive of other parameters", "delete the folder or give another one"
            )
    elif folder.is_dir() and any(p for p in folder.iterdir() if not p.name.startswith(".part-")):
        raise ConfigError(f"{folder} is not empty and holds no demo archive", "give another folder")
    for place in (folder, folder / OPTICAL_COLLECTION, folder / SAR_COLLECTION, folder / "truth"):
        remove_leftovers(place)
    write_json(plan, spec.as_json())


def _scene_folder(folder: Path, overpass: Overpass) -> Path:
    return folder / overpass.track.collection / overpass.id


def _write_scene(folder: Path, world: World, overpass: Overpass) -> None:
    """Render one scene and write its whole folder, which appears by one rename.

    The files are not flushed one by one: a killed process leaves whole scenes or none, and after a power cut the
    archive is made anew.
    """
    fill = _fill_sar if overpass.track.sensor == "sar" else _fill_optical

    def write(temporary: Path) -> None:
        temporary.mkdir()
        fill(temporary, world, overpass)

    write_atomic(_scene_folder(folder, overpass), write)


def _fill_optical(scene: Path, world: World, overpass: Overpass) -> None:
    image = render_optical(world, overpass)
    for key in BANDS:
        save_cog(scene / f"{SENTINEL2[key].name}.tif", image.bands[key], world.spec.geobox, NODATA)
    save_cog(scene / "SCL.tif", image.scl, world.spec.geobox, 0)
    _save_item(scene, world.spec, overpass, image.cloud_cover)


def _fill_sar(scene: Path, world: World, overpass: Overpass) -> None:
    image = render_sar(world, overpass)
    for key, values in image.bands.items():
        save_cog(scene / f"{key.upper()}.tif", values, world.spec.geobox, SAR_NODATA)
    _save_item(scene, world.spec, overpass, None)


def _save_item(scene: Path, spec: DemoSpec, overpass: Overpass, cloud_cover: float | None) -> None:
    """Write the item last of its scene, with size and checksum (SHA-256 as a multihash) of each file."""
    item = item_dict(spec, overpass, cloud_cover)
    for asset in item["assets"].values():
        data = (scene / asset["href"]).read_bytes()
        asset |= {"file:checksum": "1220" + hashlib.sha256(data).hexdigest(), "file:size": len(data)}
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    (scene / f"{overpass.id}.json").write_bytes(orjson.dumps(item, option=options))
