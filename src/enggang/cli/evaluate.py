"""`enggang evaluate`: the figures the product is measured by."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer

app = typer.Typer(help="Measure accuracy and delay.", no_args_is_help=True)

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command(
    epilog="Example: enggang evaluate stack --s1 vv/ --optical ndvi/ --reference lossyear.tif --reference-year 2016 "
    "--monitor-from 2016-01-01"
)
def stack(
    s1: Annotated[Path, typer.Option(help="Folder of dated Sentinel-1 GeoTIFFs in dB.")],
    reference: Annotated[Path, typer.Option(help="Loss year per pixel: 0 none, 16 = 2016, 255 not given.")],
    reference_year: Annotated[int, typer.Option(help="Year whose loss is scored; other years are left out.")],
    monitor_from: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day that is monitored.")],
    optical: Annotated[Path | None, typer.Option(help="Folder of dated GeoTIFFs of one optical index.")] = None,
    score_mask: Annotated[Path | None, typer.Option(help="Score only pixels where this is not 0.")] = None,
    bands: Annotated[str, typer.Option(help="Band of the radar folder, and index of the optical one.")] = "vv,ndvi",
    as_json: _Json = False,
) -> None:
    """Run baseline and monitoring on folders of dated GeoTIFFs and score every pixel against a reference."""
    from enggang.evaluate.stack import StackInput, evaluate_stack, stack_folders
    from enggang.settings import load_settings

    folders = stack_folders(bands, s1, optical)
    given = StackInput(folders, reference, reference_year, monitor_from.date(), score_mask)
    document = evaluate_stack(given, load_settings()).document()
    _show(document, [f"{key:<20}{value}" for key, value in document.items()], as_json)


@app.command(epilog="Example: enggang evaluate demo --home var/demo --json")
def demo(
    home: Annotated[Path, typer.Option(help="Home folder of a finished demo.")] = Path("var/demo"),
    as_json: _Json = False,
) -> None:
    """Score the demo's alerts against its known truth."""
    from enggang.evaluate.demo import evaluate_demo
    from enggang.layout import Layout
    from enggang.settings import load_settings
    from enggang.stages.job import open_job

    settings = load_settings().model_copy(update={"home": home})
    result = evaluate_demo(open_job("demo", settings), Layout(home).archive("demo"))
    _show(result.document(), result.lines(), as_json)


def _show(document: dict[str, object], lines: list[str], as_json: bool) -> None:
    typer.echo(orjson.dumps(document).decode() if as_json else "\n".join(lines))
