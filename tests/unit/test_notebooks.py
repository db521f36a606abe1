"""Notebooks are numbered, hold no logic, and come without outputs."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

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
