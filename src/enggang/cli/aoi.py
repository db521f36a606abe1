"""`enggang aoi`: areas of interest and the districts that alerts name."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from enggang.cli.console import count, next_step, say
from enggang.cli.options import ExistingFile, examples, parse_day, parse_pair
from enggang.cli.session import current, now
from enggang.errors import EnggangError

if TYPE_CHECKING:
    from enggang.aoi_import import ImportOptions
    from enggang.boundary_file import Repair, Selection
    from enggang.settings import Settings

app = typer.Typer(help="Areas of interest.", no_args_is_help=True)

#: Properties with several values, given with commas between them.
_LISTS = ("monitors", "channels", "sentinel2_tiles")
#: Properties that an import makes anew, and so never takes from the file that it replaces.
_MADE_ANEW = ("id", "provenance", "coarse")

Where = Annotated[
    str | None, typer.Option("--where", metavar="COLUMN=VALUE", help="Only features with this value; default: all.")
]
Layer = Annotated[str | None, typer.Option("--layer", help="Layer of a file that has several.")]
AssumeCrs = Annotated[
    str | None, typer.Option("--assume-crs", metavar="EPSG:CODE", help="CRS of a file that names none.")
]


@app.command(
    "add",
    epilog=examples(
        'enggang aoi add batas.gpkg --id kutim --where NAMOBJ="Kutai Timur" --set name_en="East Kutai"',
        "enggang aoi add kph.zip --id kph7 --set monitor_from=2026-01-01 --set resolution_m=20",
    ),
)
def add(
    file: ExistingFile,
    aoi_id: Annotated[str, typer.Option("--id", metavar="ID", help="Name of the area and of its file.")],
    where: Where = None,
    layer: Layer = None,
    assume_crs: AssumeCrs = None,
    crs: Annotated[
        str | None, typer.Option("--crs", metavar="EPSG:CODE", help="Working CRS; default: the centroid's UTM zone.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Give an existing area a new outline; its properties stay.")
    ] = False,
    properties: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A property as aoi/README.md lists them, or boundary_source, boundary_licence. May be repeated.",
        ),
    ] = None,
) -> None:
    """Make an area of interest of the polygons in FILE: GeoPackage, Shapefile (zipped too), GeoJSON, FlatGeobuf."""
    from enggang.aoi_import import import_boundary
    from enggang.boundary_file import Selection

    settings = current().settings()
    given = dict(parse_pair(text) for text in properties or ())
    before = _standing(aoi_id, settings) if replace else {}
    if crs is not None:
        before["crs"] = crs
    options = _options(aoi_id, before, given, Selection(layer, where, assume_crs), replace)
    report = import_boundary(file, settings.aoi_dir, options)
    props = report.aoi.properties
    verb = "written" if report.written else "unchanged"
    say(f"{report.aoi.id} · {props.name_id} / {props.name_en} · {verb}: {report.path}", style="bold")
    rows, columns = (int(n) for n in report.aoi.geobox.shape)
    say(f"  {count(report.features, 'feature')}, {report.area_ha:,.0f} ha, {props.crs}, {rows} × {columns} pixels")
    _show_repairs(report.repairs)
    next_step("what a night would bring", f"nightly --aoi {report.aoi.id} --dry-run")


@app.command("list", epilog=examples("enggang aoi list"))
def list_all() -> None:
    """List all areas with monitor, source and size."""
    from enggang.aoi import list_aois, load_aoi

    settings = current().settings()
    ids = list_aois(settings.aoi_dir)
    for one in ids:
        try:
            aoi = load_aoi(one, settings.aoi_dir)
        except EnggangError as error:
            say(f"{one:<14} {error}", style="bold red")
            continue
        props = aoi.properties
        rows, columns = (int(n) for n in aoi.geobox.shape)
        grid = f"{rows}×{columns} px of {props.resolution_m:g} m"
        say(f"{one:<14} {props.name_en:<50} {','.join(props.monitors):<12} {props.source:<14} {grid}")
    next_step("add one" if ids else f"no area in {settings.aoi_dir}; add one", "aoi add FILE --id ID")


@app.command("districts", epilog=examples("enggang aoi districts kabupaten.gpkg --name NAMOBJ"))
def districts(
    file: ExistingFile,
    name: Annotated[str, typer.Option("--name", metavar="COLUMN", help="Column with the district's name.")],
    where: Where = None,
    layer: Layer = None,
    assume_crs: AssumeCrs = None,
    source: Annotated[str, typer.Option("--source", help="Where the boundaries come from.")] = "",
    licence: Annotated[str, typer.Option("--licence", help="Under which licence.")] = "",
) -> None:
    """Import the district boundaries whose names alerts carry. A former import is replaced."""
    from enggang.aoi_import import Origin, import_districts
    from enggang.boundary_file import Selection
    from enggang.layout import Layout

    layout = Layout(current().settings().home)
    report = import_districts(file, name, layout, Origin(now(), source, licence), Selection(layer, where, assume_crs))
    say(f"{count(len(report.names), 'district')}, {report.area_ha:,.0f} ha: {report.path}", style="bold")
    say(f"  {', '.join(report.names[:12])}{' …' if len(report.names) > 12 else ''}")
    _show_repairs(report.repairs)
    next_step("alerts of the next night carry these names")


def _options(
    aoi_id: str, before: dict[str, Any], given: dict[str, str], selection: Selection, replace: bool
) -> ImportOptions:
    from enggang.aoi_import import ImportOptions, Origin

    origin = Origin(now(), given.pop("boundary_source", ""), given.pop("boundary_licence", ""))
    properties = before | {key: tuple(text.split(",")) if key in _LISTS else text for key, text in given.items()}
    title = aoi_id.replace("-", " ").replace("_", " ").title()
    begin = properties.pop("monitor_from", None)
    return ImportOptions(
        id=aoi_id,
        name_id=str(properties.pop("name_id", title)),
        name_en=str(properties.pop("name_en", title)),
        monitor_from=begin if isinstance(begin, date) else parse_day(begin) if begin else now().date(),
        origin=origin,
        monitors=properties.pop("monitors", ("kaltim",)),
        resolution_m=properties.pop("resolution_m", 10.0),
        crs=properties.pop("crs", None),
        selection=selection,
        properties=properties,
        replace=replace,
    )


def _standing(aoi_id: str, settings: Settings) -> dict[str, Any]:
    """The properties of an area that gets a new outline; none where there is no such area yet."""
    from enggang.aoi import list_aois, load_aoi

    if aoi_id not in list_aois(settings.aoi_dir):
        return {}
    standing = load_aoi(aoi_id, settings.aoi_dir).properties
    return {key: getattr(standing, key) for key in standing.model_fields_set if key not in _MADE_ANEW}


def _show_repairs(repairs: tuple[Repair, ...]) -> None:
    for repair in repairs:
        areas = f"{repair.before_ha:,.2f} → {repair.after_ha:,.2f} ha"
        say(f"  repaired: feature {repair.feature}: {repair.fault} ({areas})")
