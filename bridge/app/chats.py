"""The chats that are set: what they show, who is heard there, and who may do what."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from bridge.app.hosts import pages_of
from bridge.app.parts import Parts, Publishers, in_background, seal_of
from bridge.chats import CHATS
from bridge.core.roles import Role
from bridge.pipeline.commands import ChatCommands
from bridge.pipeline.config_drafts import ConfigDrafts
from bridge.pipeline.lookup import Authors, BuildLogs, Known
from bridge.ports.chats import Chat, ChatDoor, ChatParts, Permits
from bridge.ports.outcomes import Audited, Subscription
from bridge.settings import Settings, access_of, book_of, channels_of, policy_of
from bridge.storage.seal import NoSeal

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChatPlaces(Publishers):
    """The chats, as far as the rest needs to know; empty where none is set.

    Attributes:
        doors: what takes their requests, by chat.
        permits: who may configure what, by chat.
    """

    doors: Mapping[str, ChatDoor] = field(default_factory=dict)
    permits: Mapping[str, Permits] = field(default_factory=dict)


async def open_chats(parts: Parts, stack: AsyncExitStack, role: Role) -> ChatPlaces:
    """Open the chats that are set; what one lacks is named in the log."""
    opened = {
        chat: await _opened(parts, stack, role, chat, given)
        for chat, given in parts.settings.chats_set().items()
    }
    return ChatPlaces(
        tuple(planner for one in opened.values() for planner in one.planners),
        (),
        {kind: publisher for one in opened.values() for kind, publisher in one.publishers.items()},
        {chat: one.door for chat, one in opened.items() if one.door is not None},
        {chat: one.permits for chat, one in opened.items()},
    )


async def _opened(parts: Parts, stack: AsyncExitStack, role: Role, chat: str, given: Any) -> Chat:
    """Open one chat, which goes on by itself from then on."""
    provider, made_of = CHATS[chat], _parts_of(parts, role, chat, given)
    opened = provider.open(given, made_of)
    stack.push_async_callback(opened.stop)
    if role.hears and not opened.hears:
        log.warning("%s can't be heard: set %s", chat, provider.to_be_heard)
    if isinstance(seal_of(parts.settings), NoSeal):
        why = NoSeal.REMEDY
        log.warning("nobody can configure apps by %s, nor undo a change: %s", chat, why)
    if not made_of.access.grants:
        log.warning("nobody may do anything by %s: say who in `access` of bridge.yaml", chat)
    await in_background(stack, chat, opened.run())
    return opened


def _parts_of(parts: Parts, role: Role, chat: str, given: Any) -> ChatParts:
    """Return what a chat is made from."""
    settings, stores, catalog = parts.settings, parts.stores, parts.catalog
    book, access = channels_of(settings), access_of(settings)
    channels = CHATS[chat].channels(given, book)
    logs = BuildLogs(parts.backends, stores.journal)
    known = Known(
        catalog.all,
        lambda: catalog.trouble,
        lambda app, here: channels(app.label, here),
        catalog.wake,
    )
    return ChatParts(
        commands=ChatCommands(chat, stores.inbox, stores.journal, known, access, logs, time.time),
        access=access,
        journal=stores.journal,
        inbox=stores.inbox,
        drafts=_desk(parts),
        book=book,
        pages=pages_of(settings),
        hears=role.hears,
        within=parts.rate_limiter.within,
        tail=logs.tail,
        email_of=Authors(stores.inbox, parts.hosts).email_of,
        clock=time.time,
    )


def tells_of(settings: Settings) -> Callable[[Audited], Sequence[Subscription]]:
    """Return where changes are told that are made on the command line: in every chat."""
    book, given = channels_of(settings), settings.chats_set()
    return lambda note: [
        subscription
        for chat, one in given.items()
        for subscription in CHATS[chat].tells(one, book, note)
    ]


def _desk(parts: Parts) -> ConfigDrafts:
    """Return where people configure apps by a chat."""
    return ConfigDrafts(
        parts.configurers,
        parts.backends,
        parts.stores.inbox,
        parts.stores.journal,
        parts.hosts,
        seal_of(parts.settings),
        policy=policy_of(parts.settings),
        book=book_of(parts.settings),
    )
