"""Notebooks are numbered, hold no logic, come without outputs, and show what they say on a home of the demo."""

from __future__ import annotations

import ast
import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from enggang.settings import Settings
from enggang.simulate import DemoSpec
from enggang.stages.demo import run_demo
from enggang.stages.progress import Silent

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.name)
def notebook(request: pytest.FixtureRequest) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(request.param.read_text(encoding="utf-8"))
    return document


def code(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_they_are_numbered_in_order() -> None:
    numbers = [re.fullmatch(r"(\d\d)_[a-z0-9_]+\.ipynb", path.name) for path in NOTEBOOKS]
    assert [int(n[1]) for n in numbers if n] == list(range(1, len(NOTEBOOKS) + 1))
    assert NOTEBOOKS


def test_outputs_are_stripped(notebook: dict[str, Any]) -> None:
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code(notebook))


def test_they_hold_no_logic(notebook: dict[str, Any]) -> None:
    """No function, class or branch; a loop over the panels of a figure is drawing."""
    logic = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If, ast.While, ast.Try, ast.Lambda)
    for cell in code(notebook):
        found = [
            type(node).__name__ for node in ast.walk(ast.parse("".join(cell["source"]))) if isinstance(node, logic)
        ]
        assert found == []


def test_they_say_what_they_show_and_name_the_home_once(notebook: dict[str, Any]) -> None:
    assert notebook["cells"][0]["cell_type"] == "markdown"
    assert "".join(notebook["cells"][0]["source"]).startswith("# ")
    assert all("var/demo" not in "".join(cell["source"]) for cell in code(notebook)[1:])


@pytest.fixture(scope="module")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small demo, run to its last night."""
    home = tmp_path_factory.mktemp("notebooks") / "demo"
    run_demo(Settings(home=home, min_free_share=0, compile="never", workers=1), DemoSpec.tiny(), Silent())
    return home


def inked(png: str, colour: str) -> int:
    """Pixels of a picture, base64 PNG, that have a colour."""
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return int((np.abs(pixels - np.round(255 * np.array(to_rgb(colour)))).max(axis=-1) < 8).sum())


@pytest.mark.slow
def test_alerts_are_seen_in_the_first(demo_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGGANG_HOME", str(demo_home))
    document = nbformat.read(NOTEBOOKS[0], as_version=4)
    nbclient.NotebookClient(document, timeout=120, resources={"metadata": {"path": NOTEBOOKS[0].parent}}).execute()
    outputs = [output for cell in code(document) for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"execute_result", "display_data"}
    tables = [o["data"]["text/plain"] for o in outputs if "text/html" in o.get("data", {})]
    assert "confirmed" in tables[1]
    map_, history = (o["data"]["image/png"] for o in outputs if "image/png" in o.get("data", {}))
    assert inked(map_, "#ff7f50") > 100  # outlines of alerts
    assert inked(history, "#00224e") > 300  # observations
    assert inked(history, "#e07b00") > 100  # the date of the change
