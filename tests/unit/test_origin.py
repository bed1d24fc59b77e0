"""Who asks: kept in a request as facts, and read from the text of an earlier release."""

import json

from bridge.core.events import Action, Asked, parse_command, write_command
from bridge.core.people import Actor
from tests.worlds.rows import each_row


def test_a_request_names_its_actor_whatever_the_name_looks_like() -> None:
    asked = Asked(Action.DEPLOY, "app-web", Actor("slack", "a: b (U1)"), person="U0ADA")

    body = write_command(asked)

    assert parse_command("deploy", body) == asked
    assert json.loads(body)["actor"] == "slack: a: b (U1)"  # what an older release reads
    assert str(asked.by) == "slack: a: b (U1) (U0ADA)"


@each_row(
    ("text", "actor"),
    [
        ("slack: Ada Lovelace", Actor("slack", "Ada Lovelace")),
        ("slack: Ada (U0ADA)", Actor("slack", "Ada", "U0ADA")),
        ("the bridge", Actor(name="the bridge")),
    ],
)
def test_a_request_that_an_older_release_has_kept_is_understood(text: str, actor: Actor) -> None:
    body = json.dumps({"target": "app-web", "actor": text}).encode()

    found = parse_command("deploy", body).actor

    assert (found, str(found)) == (actor, text)
