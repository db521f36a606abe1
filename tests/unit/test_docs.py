"""README and docs stay true: commands parse, files exist, links lead somewhere, tables are those of the code."""

from __future__ import annotations

import ast
import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer

from enggang.cli import app
from enggang.cli.faults import BAD_INPUT, FAILED, LOCKED, hoist
from enggang.monitors.config import list_monitors
from enggang.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / "README.md", ROOT / "aoi" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = ("src/", "tests/", "docs/", "aoi/", "notebooks/", "bench/", "flows/", "models/")
#: The root of what a parser says of a wrong line.
USAGE: Any = typer.BadParameter.__base__


@pytest.fixture(params=DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def document(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def blocks(text: str) -> list[str]:
    """Lines of code blocks, fenced as bash or indented."""
    fenced = [line for part in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in part.splitlines()]
    rest = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [line.strip() for line in (*fenced, *re.findall(r"^    \S.*$", rest, re.MULTILINE)) if line.strip()]


def spans(text: str) -> list[str]:
    """Inline code."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def find_command(line: str) -> tuple[Any, list[str]]:
    """The command that the first words of a line name, and the words after them, without options of the program."""
    command: Any = typer.main.get_command(app)
    words = hoist(shlex.split(line, comments=True)[1:])
    while words and words[0] in ("--home", "--verbose"):
        words = words[1 + (words[0] == "--home") :]
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def parse(line: str, folder: Path) -> None:
    """Parse a line as the program does, and run nothing; files and folders it reads are made below `folder`."""
    command, words = find_command(line)
    for word in words:
        if word.endswith("/"):
            (folder / word).mkdir(parents=True, exist_ok=True)
        elif re.fullmatch(r"[\w/]+\.\w+", word):
            (folder / word).parent.mkdir(parents=True, exist_ok=True)
            (folder / word).touch()
    command.make_context(command.name, words)


def require_known(line: str) -> None:
    """A command as a text names it, perhaps without all that it wants: it exists, and so do its options."""
    command, words = find_command(line)
    known = {name for parameter in command.params for name in parameter.opts}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known, line


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, in which the files of examples can be made."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands_parse(document: Path, elsewhere: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for line in (line for line in blocks(text) if line.startswith("enggang ")):
        parse(line, elsewhere)
    for span in (span for span in spans(text) if re.match(r"enggang [a-z]", span)):
        require_known(span)


@pytest.mark.parametrize(
    "line",
    [
        "enggang nightly --aois ikn",
        "enggang nightly",
        "enggang rollback --aoi ikn --to yesterday",
        "enggang backfill --aoi ikn --from 2026-01-01 --to 2026-01-02 --products all",
        "enggang status ikn --aoi ikn",
    ],
)
def test_the_check_finds_what_is_wrong(line: str, elsewhere: Path) -> None:
    with pytest.raises(USAGE):
        parse(line, elsewhere)


def test_the_check_finds_what_is_not_there() -> None:
    for line in ("enggang nightlx", "enggang state scrap", "enggang nightly --aois"):
        with pytest.raises(AssertionError):
            require_known(line)


def test_make_targets_scripts_and_modules_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for words in (shlex.split(line, comments=True) for line in (*blocks(text), *spans(text)) if "'" not in line):
        if words[:1] == ["make"] and len(words) > 1:
            assert words[1] in targets, words
        if words[:2] == ["python", "-m"]:
            assert find_spec(words[2]), words
        elif words[:1] == ["python"]:
            assert (ROOT / words[1]).is_file(), words


def test_files_that_are_named_exist(document: Path) -> None:
    for span in spans(document.read_text(encoding="utf-8")):
        name, _, test = span.partition("::")
        if not name.startswith(FOLDERS) or re.search(r"[<>*{ ]", name):
            continue
        assert (ROOT / name).exists(), f"{document.name} names {name}"
        if test:
            tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
            assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, span


def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target.partition("#")[0]).exists(), f"{document.name} links to {target}"


def test_pictures_are_small() -> None:
    pictures = [path for path in (ROOT / "docs" / "images").iterdir() if path.is_file()]
    shown = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(path.stat().st_size <= 400_000 and f"docs/images/{path.name}" in shown for path in pictures)
    assert pictures


def test_the_table_of_settings_is_that_of_the_code() -> None:
    table = re.search(r"<!-- settings -->\n(.*?)\n<!-- /settings -->", DOCS[0].read_text(encoding="utf-8"), re.DOTALL)
    assert table is not None
    rows = [
        f"| `{PREFIX}{name.upper()}` | {f'`{field.default}` ' if str(field.default) else ''}| {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    assert table[1].splitlines()[2:] == rows


def test_the_table_of_exit_codes_is_that_of_the_code() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    codes = dict(re.findall(r"^\| (\d) \| (\w+)", text, re.MULTILINE))
    assert codes == {"0": "done", str(FAILED): "failed", str(BAD_INPUT): "bad", str(LOCKED): "locked"}


def test_every_preset_has_its_story() -> None:
    text = (ROOT / "docs" / "detector.md").read_text(encoding="utf-8")
    told = {name for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert set(list_monitors()) <= told
