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

from bridge.chats.discord.board import POSTED_ANEW
from bridge.chats.discord.embeds import Message, render_card, render_change, render_failure
from bridge.chats.discord.locks import LockPlans, render_lock
from bridge.chats.discord.pulls import POSTED_ANEW as PULL_POSTED_ANEW
from bridge.chats.discord.pulls import render_pull
from bridge.chats.facts.card import Channels, card_of, failure_of
from bridge.chats.facts.links import NOTHING_KNOWN, Around
from bridge.core.apps import App
from bridge.core.configuration.difference import Changed
from bridge.core.gates.locks import Lock, PullRef
from bridge.core.lifecycle import Change, Deployment, NoteKind, State
from bridge.core.people import Actor
from bridge.ports.feedback import LockNews
from bridge.ports.outcomes import DONE, Audited, Result
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

GOLDEN = Path(__file__).parents[1] / "fixtures" / "discord" / "golden"

Scene = Callable[[], Message]

AROUND = Around((12,), OTHER)
NEWER = "https://discord.com/channels/700000000000000001/800000000000000001/900000000000000001"


def _card(
    one: Deployment,
    app: App | None = WEB,
    around: Around = NOTHING_KNOWN,
    superseded_by: str | None = None,
    remark: str = "",
) -> Scene:
    card = card_of(one, app, LINKS, now(one, around), superseded_by)
    return partial(render_card, card, remark=remark)


def _failure(one: Deployment, app: App, note: str, log: str, around: Around) -> Scene:
    change = Change(NOON + 76, one.state, note, one.note_kind)
    card = card_of(one, app, LINKS, around)
    return partial(render_failure, card, failure_of(one, change, log))


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
    yield "card_posted_anew", _card(deployment(), remark=POSTED_ANEW)
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
    yield "change", partial(render_change, note)
    yield "change_undone", partial(render_change, note, undo)
    yield "change_of_undo", partial(render_change, undo)
    hard = replace(
        note,
        by=Actor("slack", HOSTILE, "U1"),
        app=LONGEST.label,
        difference=tuple(Changed(f"env.{HOSTILE}{n}", HOSTILE * 9, None) for n in range(40)),
        result=Result.read(f"NotKept: {HOSTILE * 20}"),
    )
    yield "change_hardest", partial(render_change, hard)


def locks() -> Iterator[tuple[str, Scene]]:
    """What is told of locks."""

    def said(lock: Lock, **facts: Any) -> Scene:
        news = LockNews(lock, ("shop/web",), "1", "lock", **facts)
        (shown,) = LockPlans(Channels((), "shop"), {}).of(news)
        return partial(render_lock, shown.place)

    merging = replace(LOCKED, owner="cli:grace", merge=PullRef("github", "my-org/shop", 482))
    hard = replace(LOCKED, label=HOSTILE, name=HOSTILE, reason=HOSTILE * 9)
    yield "lock_reminder", said(LOCKED, held=3)
    yield "lock_ended", said(merging, ended="my-org/shop#482 is merged")
    yield "lock_reminder_hardest", said(hard, held=10**9)
    yield "lock_ended_hardest", said(hard, ended=HOSTILE * 9)


def pulls() -> Iterator[tuple[str, Scene]]:
    """Pull requests with previews."""
    for name, card in pull_cards(deployment, WEB, API, LONGEST, HOSTILE, LINKS):
        yield f"pull_{name}", partial(render_pull, card)
        if name == "builds":
            yield "pull_posted_anew", partial(render_pull, card, remark=PULL_POSTED_ANEW)


def scenes() -> dict[str, Scene]:
    """Every scene by its name."""
    return dict([*cards(), *failures(), *changes(), *locks(), *pulls()])


def written(message: Message) -> str:
    """A scene as its golden file has it."""
    body = message.body() | ({"thread_name": message.post} if message.post else {})
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
