"""What Discord is shown, scene by scene: the golden files in `tests/fixtures/discord/golden`.

After a change of what is shown, write them anew, and look at the difference:

    python -m tests.scenes.discord
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bridge.chats.discord.api import DiscordClient
from bridge.chats.discord.posts import Webhooks
from bridge.core.apps import App
from bridge.core.configuration.difference import Changed
from bridge.core.gates.locks import PullRef
from bridge.core.lifecycle import Change, Deployment, NoteKind, State
from bridge.core.people import Actor
from bridge.messages.told import change_view
from bridge.messages.writer import Body
from bridge.ports.outcomes import DONE, Audited, Result
from bridge.views.cards import deployment_view, failure_view
from bridge.views.gates import lock_ended, lock_reminder
from bridge.views.links import NOTHING_KNOWN, Around
from bridge.views.view import View
from tests.scenes.pulls import cards as pull_cards
from tests.scenes.shop import (
    API,
    HARD,
    HELD_HARD,
    HOSTILE,
    LINKS,
    LOG,
    LONGEST,
    OF_AN_IMAGE,
    OTHER,
    SEEN,
    WEB,
    deployment,
    fates,
    held,
    now,
)
from tests.scenes.slack_gates import EVERY, LOCKED, NOON
from tests.worlds.messages import at_once

GOLDEN = Path(__file__).parents[1] / "fixtures" / "discord" / "golden"

Scene = Callable[[], Body]

WRITER = Webhooks(DiscordClient("https://discord.test"), {}, at_once)

AROUND = Around((12,), OTHER)
NEWER = "https://discord.com/channels/700000000000000001/800000000000000001/900000000000000001"


def _shown(view: View) -> Scene:
    return partial(WRITER.render, view)


def _card(
    one: Deployment,
    app: App | None = WEB,
    around: Around = NOTHING_KNOWN,
    superseded_by: str | None = None,
) -> Scene:
    return _shown(deployment_view(one, app, LINKS, now(one, around), superseded_by))


def _failure(one: Deployment, app: App, note: str, log: str, around: Around) -> Scene:
    change = Change(NOON + 76, one.state, note, one.note_kind)
    return _shown(failure_view(one, change, log, app, LINKS, around))


def cards() -> Iterator[tuple[str, Scene]]:
    """The card, in every state and where it is hard to keep in form."""
    for state in State:
        yield f"card_{state}", _card(deployment(state, SEEN), SEEN, AROUND)
    yield "card_superseded_with_link", _card(deployment(State.SUPERSEDED), superseded_by=NEWER)
    note = "waits for the backend: dokploy can't be reached (ConnectError)"
    yield (
        "card_waits_for_the_backend",
        _card(deployment(State.WAITING, note=note, note_kind=NoteKind.AWAY)),
    )
    other = deployment(
        deployed_commit=OTHER, note="commit 9ab41c7 is live, not 13dfa1f", note_kind=NoteKind.LIVE
    )
    yield "card_other_commit_is_live", _card(other)
    tag = deployment(
        app=API, ref="refs/tags/v2.4.0", trigger="tag", message="Release 2.4.0", author="Grace"
    )
    yield "card_tag", _card(tag, API)
    asked: dict[str, Any] = {"ref": None, "commit": None, "message": None, "author": None}
    by_person = deployment(
        trigger="cli: ada",
        deployed_commit=OTHER,
        note="commit 9ab41c7 is live",
        note_kind=NoteKind.LIVE,
        **asked,
    )
    yield "card_asked_from_the_command_line", _card(by_person)
    image = deployment(
        note="image ghcr.io/acme/shop:2.4.0 is live; verified",
        note_kind=NoteKind.LIVE,
        **OF_AN_IMAGE,
    )
    yield "card_image", _card(image)
    yield "card_app_is_gone", _card(deployment(), None)
    yield (
        "card_posted_anew",
        _shown(WRITER.anew(deployment_view(deployment(), WEB, LINKS, NOTHING_KNOWN))),
    )
    for name, gone, told in fates():
        yield f"card_{name}", _card(gone, SEEN, told)
    yield "card_held_by_all", _card(held(*EVERY), SEEN, AROUND)
    yield "card_held_hardest", _card(HELD_HARD, LONGEST)
    yield "card_hardest", _card(HARD, LONGEST)


def failures() -> Iterator[tuple[str, Scene]]:
    """What a channel is told in a message of its own."""
    one = deployment(State.FAILED, SEEN)
    yield "failure", _failure(one, SEEN, one.note, LOG, AROUND)
    yield "failure_without_log", _failure(one, SEEN, one.note, "", NOTHING_KNOWN)
    unknown = deployment(State.UNKNOWN)
    yield "failure_unknown", _failure(unknown, WEB, unknown.note, "", NOTHING_KNOWN)
    hard = replace(HARD, state=State.FAILED)
    yield "failure_hardest", _failure(hard, LONGEST, HOSTILE * 9, f"{HOSTILE * 40}\n" * 400, AROUND)


def changes() -> Iterator[tuple[str, Scene]]:
    """Changes of configurations."""
    note = Audited(
        at=NOON,
        by=Actor("cli", "ada"),
        what="provider set",
        app_id=WEB.id,
        app=WEB.label,
        difference=(
            Changed("branch", "main", "release"),
            Changed("watch_paths", ("apps/web/**",), ("apps/web/**", "packages/**")),
            Changed("env.API_KEY", "set", "changed"),
        ),
        result=DONE,
        number=7,
    )
    undo = replace(note, number=8, undoes=7, by=Actor("slack", "Grace Hopper", "U0123ABC"))
    yield "change", _shown(change_view(note))
    yield "change_undone", _shown(change_view(note, undo))
    yield "change_of_undo", _shown(change_view(undo))
    hard = replace(
        note,
        by=Actor("slack", HOSTILE, "U1"),
        app=LONGEST.label,
        difference=tuple(Changed(f"env.{HOSTILE}{n}", HOSTILE * 9, None) for n in range(40)),
        result=Result.read(f"NotKept: {HOSTILE * 20}"),
    )
    yield "change_hardest", _shown(change_view(hard))


def locks() -> Iterator[tuple[str, Scene]]:
    """What is told of locks."""

    merging = replace(LOCKED, owner="cli:grace", merge=PullRef("github", "my-org/shop", 482))
    hard = replace(LOCKED, label=HOSTILE, name=HOSTILE, reason=HOSTILE * 9)
    yield "lock_reminder", _shown(lock_reminder(LOCKED, 3, mine=False))
    yield "lock_ended", _shown(lock_ended(merging, "my-org/shop#482 is merged"))
    yield "lock_reminder_hardest", _shown(lock_reminder(hard, 10**9, mine=False))
    yield "lock_ended_hardest", _shown(lock_ended(hard, HOSTILE * 9))


def pulls() -> Iterator[tuple[str, Scene]]:
    """Pull requests with previews."""
    for name, (view, _) in pull_cards(deployment, WEB, API, LONGEST, HOSTILE, LINKS):
        yield f"pull_{name}", _shown(view)
        if name == "builds":
            yield "pull_posted_anew", _shown(WRITER.anew(view))


def scenes() -> dict[str, Scene]:
    """Every scene by its name."""
    return dict([*cards(), *failures(), *changes(), *locks(), *pulls()])


def written(body: Body) -> str:
    """A scene as its golden file has it."""
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all golden files, and remove those of no scene."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    made = scenes()
    for file in GOLDEN.glob("*.json"):
        if file.stem not in made:
            file.unlink()
    for name, scene in made.items():
        (GOLDEN / f"{name}.json").write_text(written(scene()))


if __name__ == "__main__":
    main()
