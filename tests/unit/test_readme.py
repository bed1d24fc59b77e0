"""The README and its pages name everything that a user can meet, as it is."""

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import typer

from bridge.cli.every import app
from bridge.core.decision import Reason
from bridge.core.lifecycle import State
from bridge.settings import PREFIX, Settings, fields, read_settings
from tests.scenes.surface import public_routes, variables_of
from tests.worlds.rows import each_row

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [
    *(README, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"),
    *sorted((ROOT / "docs").rglob("*.md")),
]
SAID = "\n".join(page.read_text() for page in [README, *sorted((ROOT / "docs").glob("*.md"))])
SETTINGS = (ROOT / "docs" / "settings.md").read_text()


def setting_row(path: tuple[str, ...], field: Any) -> str:
    """How `docs/settings.md` has a setting."""
    words = ", ".join(f"`{name}`" for name in variables_of(path))
    return f"| {words} | `{'.'.join(path)}` | {default(field.default)} | {field.description} |"


def default(value: Any) -> str:
    if value in (None, "", (), {}):
        return "\N{EN DASH}"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:.10g}`"
    return f"`{', '.join(value) if isinstance(value, tuple) else value}`"


@each_row(("path", "field"), fields(Settings))
def test_every_setting_is_listed_as_it_is(path: tuple[str, ...], field: Any) -> None:
    assert setting_row(path, field) in SETTINGS


def test_every_command_route_reason_and_state_is_listed() -> None:
    listed = (ROOT / "docs" / "commands.md").read_text()
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]

    heads = re.findall(r"^(?:### |- `)(\w+)", listed, re.MULTILINE)
    assert set(commands) - set(heads) == set()
    assert [route for route in public_routes() if route.split()[1] not in SAID] == []
    assert [word for word in [*Reason, *State] if f"| `{word}` |" not in SAID] == []


@each_row("example", re.findall(r" *```yaml\n.*?\n *```", SAID, re.DOTALL))
def test_every_example_of_bridge_yaml_can_be_read(example: str, tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text("\n".join(dedent(example).splitlines()[1:-1]))

    assert read_settings(file, {"BRIDGE_DOKPLOY_API_KEY": "a-key"}).model_fields_set


def test_variables_in_examples_are_settings() -> None:
    of_previews = {"BRIDGE_PR", "BRIDGE_SHA", "BRIDGE_URL"}
    named = set(re.findall(r"\bBRIDGE_\w+", SAID)) - {"BRIDGE_CONFIG"} - of_previews
    known = {f"{PREFIX}{'_'.join(path).upper()}" for path, _ in fields(Settings)}

    assert {name.removesuffix("_FILE") for name in named} - known == set()


@each_row("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_what_is_there(page: Path) -> None:
    text = page.read_text()
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'<img src="([^"]+)"', text)

    for link in (one for one in links if "://" not in one):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    """The places in a page that a link can lead to, named as GitHub names them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_page_and_picture_is_led_to() -> None:
    docs = sorted((ROOT / "docs").glob("*.md"))
    written = README.read_text() + "".join(page.read_text() for page in docs)

    assert [page.name for page in docs if page.name not in README.read_text()] == []
    for picture in (ROOT / "docs" / "pictures").glob("*.svg"):
        assert picture.name in written


def test_notes_are_numbered_each_once_and_short() -> None:
    notes = sorted((ROOT / "docs" / "notes").glob("*.md"))

    assert [int(note.name[:4]) for note in notes] == list(range(1, len(notes) + 1))
    assert [note.name for note in notes if len(note.read_text().splitlines()) > 40] == []


def test_no_line_of_the_changelog_stands_there_twice() -> None:
    lines = [line for line in PAGES[1].read_text().splitlines() if line.startswith("- ")]

    assert lines
    assert len(lines) == len(set(lines))
