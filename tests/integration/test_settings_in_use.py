"""What is noted of a running bridge's settings tells that others differ, and no value."""

import pytest

from bridge.app.stored_settings import NOTED, Difference, compare, note_settings
from bridge.ports.checks import Level
from bridge.settings import read_settings
from bridge.storage.journal import SqlJournal

SECRET = "a-secret-of-the-tests-0123456789"
RULES = f"[{{apps: shop/*, previews: {{environment: {{TOKEN: {SECRET}}}}}}}]"
RUNS = {
    "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET,
    "BRIDGE_RULES": RULES,
    "BRIDGE_JOURNEY_LOOK": "0.5",
    "PORT": "8000",
}


async def difference(journal: SqlJournal, **others: str) -> Difference:
    given = {name: value for name, value in (RUNS | others).items() if value}
    found = await compare(read_settings(None, given), journal)
    assert found is not None
    return found


DIFFERENT = {
    "a secret": ({"BRIDGE_GITHUB_WEBHOOK_SECRETS": f"{SECRET}-2"}, "to other values", False),
    "a secret in a rule": ({"BRIDGE_RULES": RULES.replace("9", "8")}, "to other values", False),
    "one more": ({"BRIDGE_GITLAB_TOKEN": "glpat-1"}, "only here", False),
    "one that checks need": ({"BRIDGE_GITHUB_WEBHOOK_SECRETS": ""}, "not set here", True),
    "one that no check needs": ({"BRIDGE_JOURNEY_LOOK": ""}, "not set here", False),
    "the same": ({}, "", False),
    "one of a process": ({"PORT": "9000", "BRIDGE_LOG_LEVEL": "debug"}, "", False),
}


@pytest.mark.parametrize("name", DIFFERENT)
async def test_a_difference_is_told(name: str, journal: SqlJournal) -> None:
    given, says, incomplete = DIFFERENT[name]
    assert await compare(read_settings(None, RUNS), journal) is None  # none has noted anything
    await note_settings(read_settings(None, RUNS), journal)
    noted = await journal.recall(NOTED) or ""
    assert '"journey.look": "' in noted
    assert max(map(len, noted.split('"'))) < len(SECRET)
    assert SECRET not in noted

    found = await difference(journal, **given)

    assert (found.finding().level is Level.OK) == (not says)
    assert says in found.finding().says
    assert found.incomplete == incomplete
    assert ("nothing else was checked" in found.finding().says) == incomplete
