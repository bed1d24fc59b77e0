"""What the docs promise is there, and what is there stands in the docs."""

import re
from pathlib import Path

import bridge
from tests.scenes.surface import of_metrics

ROOT = Path(bridge.__file__).parents[1]


def test_every_metric_stands_in_the_docs_and_no_other() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    named = re.findall(r"\bbridge_[a-z_]+[a-z]\b", page)

    assert {name.removesuffix("_total") for name in named} == set(of_metrics())


def test_the_docs_name_only_buttons_of_cards_that_there_are() -> None:
    files = [*(ROOT / "bridge/chats/slack").rglob("*.py"), ROOT / "bridge/views/actions.py"]
    source = "".join(file.read_text() for file in files)
    buttons = set(re.findall(r'(?:button|Action)\(\s*"([A-Z][a-z ]+)"', source))
    said = re.findall(
        r"\*([A-Z][a-z]+)\* (?:on a card|in Home)", (ROOT / "docs/slack.md").read_text()
    )

    assert {"Cancel", "Configure"} <= set(said) <= buttons


SECTION = re.compile(r'docs/([\w-]+\.md),\s+"([^"]+)"')
ELSEWHERE = re.compile(r"(?<![\w/.-])(?:facts|durability|product|peers|style)\.md\b")


def test_docstrings_refer_to_what_is_here() -> None:
    missing = []
    for file in sorted((ROOT / "bridge").rglob("*.py")):
        text = file.read_text()
        missing += [(file.name, page) for page in ELSEWHERE.findall(text)]
        for page, section in SECTION.findall(text):
            titles = re.findall(r"^#+ (.+)$", (ROOT / "docs" / page).read_text(), re.MULTILINE)
            missing += [] if " ".join(section.split()) in titles else [(file.name, section)]

    assert missing == []


def test_no_page_opens_bold_italics_that_it_does_not_close() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]

    assert [
        f"{page.name}: {line[:40]}"
        for page in pages
        for line in page.read_text().splitlines()
        if line.count("***") % 2
    ] == []


def test_the_floor_plan_names_every_folder_and_only_files_that_there_are() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    picture = (ROOT / "docs/pictures/floor-plan.svg").read_text()
    folders = {one.parent.name for one in (ROOT / "bridge").glob("*/__init__.py")}

    paths = re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`", page)
    there = (ROOT, ROOT / "bridge")
    assert [one for one in paths if not any((at / one).exists() for at in there)] == []
    assert {one for one in folders if f"`{one}/`" not in page} == set()
    assert {one for one in folders if f">{one}</text>" not in picture} == set()
