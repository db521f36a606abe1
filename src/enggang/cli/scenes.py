"""`enggang scenes`: catalogues of scenes, and what they hold."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from enggang.cli.console import count, next_step, say
from enggang.cli.nights import show_failures
from enggang.cli.options import Area, SourceName, examples
from enggang.cli.session import current, job_of, now

app = typer.Typer(help="Catalogues of scenes.", no_args_is_help=True)


class SensorName(StrEnum):
    """Kinds of sensors."""

    SAR = "sar"
    OPTICAL = "optical"


@app.command(
    "build",
    epilog=examples(
        "enggang scenes build s1_vh/ --archive riau --sensor sar --bands vh --unit dB",
        "enggang scenes build ndvi/ --archive santa_cruz --sensor optical --bands ndvi --collection landsat-ndvi",
    ),
)
def build(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of GeoTIFFs with dates in their names.")],
    archive: Annotated[
        str, typer.Option("--archive", metavar="NAME", help="Written to HOME/archives/NAME/catalog.json.")
    ],
    sensor: Annotated[SensorName, typer.Option("--sensor", help="What took them.")],
    bands: Annotated[str, typer.Option("--bands", help="Bands of each file in order, with commas.")] = "",
    unit: Annotated[str, typer.Option("--unit", help="dB, power, amplitude, reflectance or 1.")] = "1",
    collection: Annotated[str, typer.Option("--collection", help="Collection; default: the folder's name.")] = "",
    orbit: Annotated[str | None, typer.Option("--orbit", help="ascending or descending; default: as known.")] = None,
) -> None:
    """Make a STAC catalogue of a folder of dated GeoTIFFs, so that they enter as any other scene.

    The files stay where they are. Other collections of the same archive are kept, so several folders can join one.
    """
    from enggang.layout import Layout
    from enggang.sources.builder import BuildSpec, build_catalog

    name = collection or folder.resolve().name.replace("_", "-")
    named = tuple(band.strip() for band in bands.split(",") if band.strip())
    spec = BuildSpec(name, sensor.value, named, unit, orbit_state=orbit)
    report = build_catalog(folder, Layout(current().settings().home).archive(archive), spec)
    say(f"{archive} · {name}: {count(len(report.scenes), 'scene')}", style="bold")
    say(f"  {report.scenes[0]} to {report.scenes[-1]}")
    show_failures(report.skipped)
    next_step(f"give it to an area: source {report.catalogue}, in its file or as --source")


@app.command("list", epilog=examples("enggang scenes list --aoi ikn --from 2026-11-01"))
def list_scenes(
    aoi: Area,
    since: Annotated[str, typer.Option("--from", metavar="YYYY-MM-DD", help="First day; default: all.")] = "",
    source: SourceName = None,
) -> None:
    """List the scenes that the source of an area has for it, in order of acquisition."""
    from datetime import UTC, datetime

    from enggang.stages.scenes import search

    job = job_of(aoi, current().settings(), source)
    try:
        start = datetime.fromisoformat(since or "1980-01-01").replace(tzinfo=UTC)
    except ValueError as error:
        raise typer.BadParameter(f"{since!r} is no date; write it as 2026-11-24") from error
    found = search(job, start, now())
    for scene in found.scenes:
        say(f"{scene.acquired:%Y-%m-%d %H:%M}Z  {scene.sensor:<7}  {','.join(sorted(scene.assets)):<12}  {scene.id}")
    show_failures(found.failures)
    next_step(f"{count(len(found.scenes), 'scene')}; what tonight would apply", f"nightly --aoi {aoi} --dry-run")
