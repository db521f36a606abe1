"""The house rules of docs/architecture.md, read from the syntax tree of every module, also inside functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

GROUND = {"aoi", "aoi_import", "boundary_file", "catalog", "catalog_readers", "files", "layout", "settings"}
BASE = {"types", "errors"}
MIDDLE = {"sources", "cube", "inference", "monitors", "alerts", "publish", "notify", "air", "fire"}
BESIDE = {"evaluate", "simulate"}
ALERT_RECORDS = {f"alerts.{name}" for name in ("records", "fields", "words", "geojson")}

#: Part of the house → what it may import besides itself, by name below `enggang`. A new part needs a line here.
MAY_IMPORT: dict[str, set[str]] = (
    {"errors": set(), "types": {"errors"}, "settings": BASE, "files": BASE, "layout": BASE}
    | dict.fromkeys(("aoi", "aoi_import", "boundary_file", "catalog", "catalog_readers"), BASE | GROUND)
    | dict.fromkeys(("sources", "inference", "alerts", "notify", "air", "fire"), BASE | GROUND)
    | {
        "cube": BASE | GROUND | {"sources.base"},
        "monitors": BASE | GROUND | {"inference"},
        "publish": BASE | GROUND | ALERT_RECORDS,
        "simulate": BASE | GROUND | {"sources.base", "cube"},
        "evaluate": BASE | GROUND | MIDDLE | BESIDE | {"stages"},
        "serve": BASE | GROUND | {"publish", "alerts"},
        "stages": BASE | GROUND | MIDDLE | {"simulate"},
        "cli": BASE | GROUND | MIDDLE | BESIDE | {"stages", "serve"},
        "flows": BASE | GROUND | MIDDLE | BESIDE | {"stages"},
        "": BASE,
    }
)

#: The parts that alone may import these outside packages.
HOMES: tuple[tuple[set[str], tuple[str, ...]], ...] = (
    ({"flows"}, ("prefect",)),
    ({"serve"}, ("fastapi", "starlette", "uvicorn", "titiler")),
    ({"sources", "notify"}, ("httpx", "requests", "aiohttp", "urllib3", "urllib.request", "http.client")),
    ({"sources", "notify"}, ("pystac_client", "sentinelhub")),
    ({"inference"}, ("torch.nn",)),
    ({"cli"}, ("typer", "rich", "click")),
)
CONFINED = {package: parts for parts, packages in HOMES for package in packages}
#: Functions on text that live in a client's module and open nothing.
HARMLESS = {"urllib.request.url2pathname", "urllib.request.pathname2url"}
CLOCKS = {"now", "utcnow", "today"}


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name, and its syntax tree."""

    name: str
    tree: ast.Module
    is_package: bool

    @property
    def part(self) -> str:
        """Its part of the house: `alerts` for enggang.alerts.track, `flows`, or "" for enggang itself."""
        head, _, rest = self.name.partition(".")
        return rest.partition(".")[0] if head == "enggang" else head

    def imports(self) -> Iterator[tuple[int, str, str]]:
        """(line, module, name or "") of every import statement, wherever it stands."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name, "") for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node.lineno, self._absolute(node), alias.name) for alias in node.names)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        up = node.level - 1 if self.is_package else node.level
        package = self.name.split(".")[: len(self.name.split(".")) - up]
        return ".".join([*package, *([node.module] if node.module else [])])


def read_tree(root: Path) -> dict[str, Module]:
    """All modules of `root/src/enggang` and `root/flows` by dotted name."""
    files = [(p, root / "src") for p in (root / "src").rglob("*.py")] + [
        (p, root) for p in (root / "flows").rglob("*.py")
    ]
    modules = {}
    for path, base in sorted(files):
        parts = path.relative_to(base).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        modules[name] = Module(name, ast.parse(path.read_text(encoding="utf-8")), is_package)
    return modules


def inner_targets(module: Module, modules: dict[str, Module]) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of the modules of ours that `module` imports; `from a import b` is a.b where that exists."""
    for line, source, name in module.imports():
        if source.split(".")[0] in ("enggang", "flows"):
            full = f"{source}.{name}"
            yield line, full if name and full in modules else source


def wrong_directions(modules: dict[str, Module]) -> list[str]:
    """Imports that go up, or sideways where the table has no such door; parts that the table doesn't know."""
    found = [f"{m.name}: part {m.part} has no line in MAY_IMPORT" for m in modules.values() if m.part not in MAY_IMPORT]
    for module in modules.values():
        for line, target in inner_targets(module, modules):
            inner = target.removeprefix("enggang").lstrip(".")
            part = inner.split(".")[0]
            allowed = MAY_IMPORT.get(module.part, set())
            if part not in ("", module.part) and not any(inner == a or inner.startswith(f"{a}.") for a in allowed):
                found.append(f"{module.name}:{line} imports {target}")
    return found


def strays(modules: dict[str, Module]) -> list[str]:
    """Outside packages imported, or `torch.nn` used, by a part to which they are not confined."""
    found = []
    for module in modules.values():
        names = [(line, f"{source}.{name}" if name else source) for line, source, name in module.imports()]
        names += [
            (node.lineno, "torch.nn")
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Attribute) and node.attr == "nn" and getattr(node.value, "id", "") == "torch"
        ]
        for line, name in names:
            homes = next((h for package, h in CONFINED.items() if f"{name}.".startswith(f"{package}.")), {module.part})
            if module.part not in homes and name not in HARMLESS:
                found.append(f"{module.name}:{line} imports {name}, which belongs to {', '.join(sorted(homes))}")
    return found


def cycles(modules: dict[str, Module]) -> list[str]:
    """Circles of imports, each named once."""
    graph = {name: sorted({t for _, t in inner_targets(m, modules)} - {name}) for name, m in modules.items()}
    found: set[str] = set()
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            circle = trail[trail.index(name) :]
            first = circle.index(min(circle))
            found.add(" → ".join((*circle[first:], *circle[:first], circle[first])))
        elif name not in done:
            for target in graph.get(name, ()):
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())
    return sorted(found)


def clocks(modules: dict[str, Module]) -> list[str]:
    """Places in the library, apart from the CLI, that ask what time it is: `x.now`, called or handed on."""
    wall = {("time", "time"), ("time", "time_ns")}
    return [
        f"{module.name}:{node.lineno} uses {node.attr}"
        for module in modules.values()
        if module.name.startswith("enggang") and module.part != "cli"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and (node.attr in CLOCKS or (getattr(node.value, "id", ""), node.attr) in wall)
    ]


def prints(modules: dict[str, Module]) -> list[str]:
    """Uses of print() in the library."""
    return [
        f"{module.name}:{node.lineno} prints"
        for module in modules.values()
        if module.name.startswith("enggang")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Name) and node.id == "print"
    ]


CHECKS = {f.__name__: f for f in (wrong_directions, strays, cycles, clocks, prints)}


@pytest.fixture(scope="module")
def house(repository: Path) -> dict[str, Module]:
    return read_tree(repository)


@pytest.mark.parametrize("check", CHECKS)
def test_the_house_keeps_its_rules(house: dict[str, Module], check: str) -> None:
    assert CHECKS[check](house) == []


def test_the_house_is_read_whole(house: dict[str, Module]) -> None:
    assert {"enggang.aoi", "enggang.alerts.records", "enggang.monitors.config", "flows"} <= set(house)
    assert any(target == "enggang.errors" for _, target in inner_targets(house["enggang.aoi"], house))


BAD = {
    "up": (
        "wrong_directions",
        {"cube/x.py": "from enggang.stages import night"},
        "enggang.cube.x:1 imports enggang.stages",
    ),
    "up, in a function": ("wrong_directions", {"files.py": "def f():\n    import enggang.aoi"}, "enggang.files:2"),
    "up, by name": (
        "wrong_directions",
        {"alerts/x.py": "from enggang import sources", "sources/__init__.py": ""},
        "enggang.sources",
    ),
    "up, relative": (
        "wrong_directions",
        {"alerts/x.py": "from ..publish import cog", "publish/cog.py": ""},
        "publish.cog",
    ),
    "past the door": ("wrong_directions", {"cube/x.py": "from enggang.sources.stac import A"}, "enggang.sources.stac"),
    "past alert records": ("wrong_directions", {"publish/x.py": "from enggang.alerts.track import t"}, "alerts.track"),
    "a look-alike": ("wrong_directions", {"cube/x.py": "from enggang.sources.basement import t"}, "sources.basement"),
    "flows from below": ("wrong_directions", {"stages/x.py": "import flows"}, "imports flows"),
    "unknown part": ("wrong_directions", {"helpers/x.py": ""}, "part helpers has no line"),
    "prefect": (
        "strays",
        {"stages/x.py": "def f():\n    from prefect import task"},
        "enggang.stages.x:2 imports prefect.task",
    ),
    "http": ("strays", {"catalog.py": "from urllib.request import urlopen"}, "belongs to notify, sources"),
    "http by name": ("strays", {"catalog.py": "from urllib import request"}, "urllib.request"),
    "fastapi": ("strays", {"publish/x.py": "import fastapi"}, "belongs to serve"),
    "torch.nn": ("strays", {"monitors/x.py": "from torch import nn"}, "imports torch.nn"),
    "torch.nn by use": ("strays", {"monitors/x.py": "import torch\na = torch.nn.ReLU()"}, "enggang.monitors.x:2"),
    "rich": ("strays", {"aoi.py": "from rich.table import Table"}, "belongs to cli"),
    "circle": (
        "cycles",
        {"aoi.py": "import enggang.files", "files.py": "def f():\n    import enggang.aoi"},
        "enggang.aoi → enggang.files → enggang.aoi",
    ),
    "now": ("clocks", {"aoi.py": "import datetime as d\nd.datetime.now(d.UTC)"}, "enggang.aoi:2 uses now"),
    "today": ("clocks", {"alerts/x.py": "from datetime import date\ndate.today()"}, "uses today"),
    "now, handed on": (
        "clocks",
        {"alerts/x.py": "from datetime import datetime\nf(clock=datetime.utcnow)"},
        "uses utcnow",
    ),
    "the wall clock": ("clocks", {"alerts/x.py": "import time\ntime.time()"}, "uses time"),
    "print": ("prints", {"alerts/x.py": "print('hello')"}, "enggang.alerts.x:1 prints"),
}
GOOD = {
    "aoi.py": "from enggang.errors import E\nimport urllib.parse",
    "errors.py": "",
    "sources/base.py": "import httpx",
    "cube/x.py": "from enggang.sources.base import S\nfrom . import y\nimport torch\ntorch.no_grad()",
    "cube/y.py": "from urllib.request import url2pathname\nfrom enggang import __version__",
    "inference/x.py": "import torch\nfrom torch import nn",
    "publish/x.py": "from enggang.alerts.records import Alert",
    "cli/__init__.py": "import typer\nfrom datetime import datetime\ndatetime.now()\nfrom enggang.stages import x",
    "stages/x.py": "from enggang.cube import x",
}


def write_tree(root: Path, files: dict[str, str]) -> dict[str, Module]:
    for name, text in files.items():
        path = root / "src" / "enggang" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read_tree(root)


@pytest.mark.parametrize("case", BAD)
def test_a_bad_tree_is_caught(tmp_path: Path, case: str) -> None:
    check, files, message = BAD[case]
    modules = write_tree(tmp_path, files)
    found = CHECKS[check](modules)
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize("check", CHECKS)
def test_a_good_tree_passes(tmp_path: Path, check: str) -> None:
    assert CHECKS[check](write_tree(tmp_path, GOOD)) == []
