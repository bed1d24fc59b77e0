"""Open the chats in the settings."""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.app.commands import commands_of
from bridge.app.data_folder import seal_of
from bridge.app.hosting import tells_of
from bridge.app.pages import console_of, pages_of, titles_of
from bridge.app.providers import pulls_at
from bridge.app.roles import Role
from bridge.app.wiring import Parts, Publishers, in_background
from bridge.chats import CHATS
from bridge.pipeline.deploying.config_drafts import ConfigDrafts
from bridge.pipeline.deploying.configure import Configurer
from bridge.pipeline.feedback.build_logs import BuildLogs
from bridge.pipeline.gates.locks import Pulls, nobody_is_told
from bridge.ports.chats import Chat, ChatDoor, ChatParts, Permits
from bridge.ports.feedback import LockNews, TellsOfLocks
from bridge.ports.outcomes import Subscription
from bridge.settings import (
    access_of,
    book_of,
    channels_of,
    policy_of,
    preview_channels_of,
)
from bridge.storage.seal import NoSeal

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChatPublishers(Publishers):
    """The chats, as far as the rest needs to know; empty if none is configured.

    Attributes:
        tells_of_locks: tells of a lock in one chat, that of its owner if it is set up.
        doors: the handlers of their requests, by chat.
        permits: who may configure what, by chat.
        opened: the chats themselves.
    """

    doors: Mapping[str, ChatDoor] = field(default_factory=dict)
    permits: Mapping[str, Permits] = field(default_factory=dict)
    opened: Sequence[Chat] = ()
    tells_of_locks: TellsOfLocks = nobody_is_told

    def trouble(self) -> dict[str, str]:
        """Return what can't be written to, and why, by its name for people."""
        return {name: why for one in self.opened for name, why in one.trouble.items()}


async def open_chats(parts: Parts, stack: AsyncExitStack, role: Role) -> ChatPublishers:
    """Open the configured chats; log what each of them lacks."""
    pulls = pulls_at(parts.settings, parts.apis)
    opened = {
        chat: await _opened(parts, stack, role, chat, given, pulls)
        for chat, given in parts.settings.chats_set().items()
    }

    def tell(news: LockNews) -> Sequence[Subscription]:
        """Tell of a lock once: in its owner's chat, else in the first that can."""
        own = news.lock.owner.partition(":")[0]
        in_order = sorted(opened, key=lambda chat: chat != own)
        return next((those for chat in in_order if (those := opened[chat].of_lock(news))), ())

    return ChatPublishers(
        tuple(planner for one in opened.values() for planner in one.planners),
        previews=tuple(one.of_preview for one in opened.values()),
        publishers={
            kind: publisher for one in opened.values() for kind, publisher in one.publishers.items()
        },
        doors={chat: one.door for chat, one in opened.items() if one.door is not None},
        permits={chat: one.permits for chat, one in opened.items()},
        opened=tuple(opened.values()),
        tells_of_locks=tell,
    )


async def _opened(
    parts: Parts, stack: AsyncExitStack, role: Role, chat: str, given: Any, pulls: Pulls
) -> Chat:
    """Open one chat; from then on it runs by itself."""
    provider, made_of = CHATS[chat], _parts_of(parts, role, chat, given, pulls)
    opened = provider.open(given, made_of)
    stack.push_async_callback(opened.stop)
    if provider.to_be_heard:
        if role.hears and not opened.hears:
            log.warning("%s requests can't be received: set %s", chat, CHATS[chat].to_be_heard)
        if isinstance(seal_of(parts.settings), NoSeal):
            why = NoSeal.REMEDY
            log.warning("nobody can configure apps by %s, nor undo a change: %s", chat, why)
        if not made_of.access.grants:
            log.warning("nobody may do anything by %s: say who in `access` of bridge.yaml", chat)
    else:
        log.info("%s is only written to: people can't ask anything there", chat)
    await in_background(stack, chat, opened.run())
    return opened


def _parts_of(parts: Parts, role: Role, chat: str, given: Any, pulls: Pulls) -> ChatParts:
    settings, stores = parts.settings, parts.stores
    book, access = channels_of(settings, chat), access_of(settings)
    channels = CHATS[chat].channels(given, book)
    logs = BuildLogs(parts.backends, stores.journal)
    return ChatParts(
        commands=commands_of(
            parts,
            chat,
            access,
            logs,
            channels=lambda app, here: channels(app.label, here),
            pulls=pulls,
            configurers=announced(parts),
        ),
        access=access,
        journal=stores.journal,
        inbox=stores.inbox,
        drafts=ConfigDrafts(
            parts.configurers,
            parts.backends,
            stores.inbox,
            stores.journal,
            parts.hosts,
            seal_of(settings),
            policy=policy_of(settings),
            book=book_of(settings),
        ),
        book=book,
        preview_book=preview_channels_of(settings, chat),
        pages=pages_of(settings),
        titles=titles_of(settings),
        console=console_of(settings),
        hears=role.hears,
        within=parts.rate_limiter.within,
        tail=logs.tail,
        email_of=parts.authors.email_of,
        clock=time.time,
    )


def announced(parts: Parts) -> dict[str, Configurer]:
    """Return what changes apps at their backends, each change announced in every chat."""
    tells = tells_of(parts.settings)
    return {name: replace(one, shown=tells) for name, one in parts.configurers.items()}
