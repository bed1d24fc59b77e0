"""What Slack is shown, by Slack's own rules: its SDK, its types, its limits."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.slack.methods import SlackError
from tests.fakes.slack.server import well_formed
from tests.oracles.node_tools import Unavailable, environment, missing, node_bin, node_home
from tests.oracles.slack_rules import faults
from tests.scenes.slack import GOLDEN

FILES = sorted(GOLDEN.glob("*.json"))


def golden(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(file.read_text())
    return loaded


def remade(sent: dict[str, Any]) -> dict[str, Any]:
    """The same through the models of Slack's SDK, which drop what they do not know."""
    from slack_sdk.models.blocks import Block, Option, OptionGroup
    from slack_sdk.models.views import View

    if "type" in sent:
        return View(**sent).to_dict()
    if "blocks" in sent:
        return sent | {"blocks": [block.to_dict() for block in Block.parse_all(sent["blocks"])]}
    if "options" in sent:
        return {"options": [one.to_dict() for one in Option.parse_all(sent["options"]) or ()]}
    groups = OptionGroup.parse_all(sent["option_groups"]) or ()
    return {"option_groups": [one.to_dict() for one in groups]}


def test_all_of_it_is_within_the_limits_calls_nobody_and_is_what_the_sdk_keeps() -> None:
    assert FILES
    for file in FILES:
        sent = golden(file)
        assert remade(sent) == sent, file.stem
        assert faults(sent) == [], file.stem


def as_typescript(sent: dict[str, Any], number: int) -> str:
    kind = {"modal": "ModalView", "home": "HomeView"}.get(
        sent.get("type", ""), "Sent" if "blocks" in sent else "Offered"
    )
    return f"export const golden{number}: {kind} = {json.dumps(sent)}\n"


HEAD = """import type {
  HomeView, KnownBlock, ModalView, PlainTextElement, PlainTextOption,
} from "@slack/types"
type Sent = { text: string, blocks: KnownBlock[] }
type Offered =
  | { options: PlainTextOption[] }
  | { option_groups: { label: PlainTextElement, options: PlainTextOption[] }[] }
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder from which TypeScript finds Slack's types."""
    try:
        home = node_home("slack-types")
    except Unavailable as why:
        missing(str(why))
    with tempfile.TemporaryDirectory(dir=home) as made:
        yield Path(made)


def compiled(folder: Path, source: str) -> str:
    """What the TypeScript compiler has to say."""
    file = folder / "golden.ts"
    file.write_text(HEAD + source)
    tsc = node_bin("slack-types", "tsc")
    options = ["--strict", "--noEmit", "--skipLibCheck", "--pretty", "false"]
    options += ["--module", "nodenext"]
    done = subprocess.run(
        [str(tsc), *options, str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment(),
    )
    return done.stdout + done.stderr


def test_slacks_types_fit_all_of_it_and_would_find_planted_faults(folder: Path) -> None:
    planted = [
        {"type": "paragraph"},
        {"type": "header", "text": {"type": "mrkdwn", "text": "a"}},
        {"type": "divider", "colour": "red"},
    ]
    sent = [*map(golden, FILES), {"text": "a", "blocks": planted}]
    source = "".join(as_typescript(one, number) for number, one in enumerate(sent))

    said = compiled(folder, source)

    assert all(fault in said for fault in ("paragraph", "mrkdwn", "colour"))
    wrong = {line.partition("(")[2].partition(",")[0] for line in said.splitlines() if "(" in line}
    assert wrong == {str(len((HEAD + source).splitlines()))}, said


def section(**fields: Any) -> dict[str, Any]:
    text = {"type": "mrkdwn", "text": "a", "verbatim": True}
    return {"type": "section", "text": text} | fields


def button(**fields: Any) -> dict[str, Any]:
    text = {"type": "plain_text", "text": "a"}
    return {"type": "button", "text": text, "action_id": "a", "value": "b"} | fields


def test_the_limits_would_find_a_planted_fault() -> None:
    for blocks, why in (
        ([section()] * 51, "51 blocks"),
        ([], "0 blocks"),
        ([section(block_id="a"), section(block_id="a")], "stands 2 times"),
        ([{"type": "actions", "elements": [button(), button()]}], "action_id 'a' stands 2 times"),
        ([section(accessory=button(value="a" * 2001))], "value is 2001 long"),
        ([section(text={"type": "mrkdwn", "text": "<!here>", "verbatim": True})], "foreign"),
        ([section(text={"type": "mrkdwn", "text": "a < b", "verbatim": True})], "a loose angle"),
        ([section(text={"type": "mrkdwn", "text": "a &am", "verbatim": True})], "broken entity"),
        ([section(text={"type": "mrkdwn", "text": "a"})], "verbatim"),
        ([section(text={"type": "mrkdwn", "text": "🚀" * 1501, "verbatim": True})], "3002 long"),
        ([section(text={"type": "mrkdwn", "text": "", "verbatim": True})], "is empty"),
    ):
        assert why in "\n".join(faults({"text": "a", "blocks": blocks}))


def test_the_fake_slack_refuses_what_breaks_them() -> None:
    well_formed({"text": "a", "blocks": json.dumps([section()])})
    well_formed({"text": "a"})
    calling = section(text={"type": "mrkdwn", "text": "<!here>"})
    args: dict[str, Any]
    for args in (
        {"text": "a", "blocks": json.dumps([calling])},
        {"view": {"type": "modal", "title": button()["text"], "blocks": []}},
        {"text": "", "blocks": [section()]},
    ):
        with pytest.raises(SlackError, match="invalid_blocks"):
            well_formed(args)
