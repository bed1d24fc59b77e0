"""Who made the commit of a deployment: the address that stands in the webhook which brought it."""

import asyncio
from collections.abc import Mapping

from bridge.core.events import RefPushed
from bridge.core.lifecycle import Deployment
from bridge.journey.delivery.meaning import read
from bridge.ports.githosts import GitHost
from bridge.ports.inbox import Inbox


class Authors:
    """Reads kept webhooks again; nothing is kept of it."""

    def __init__(self, inbox: Inbox, hosts: Mapping[str, GitHost]) -> None:
        self._inbox = inbox
        self._hosts = hosts

    async def email_of(self, deployment: Deployment) -> str:
        """The author's address; "" where the push tells none, or a person asked."""
        delivery = await self._inbox.get(deployment.seq)
        if delivery is None or delivery.stored is None:
            return ""
        found = await asyncio.to_thread(read, delivery, self._hosts)
        event = None if isinstance(found, str) else found.event
        if not isinstance(event, RefPushed) or event.commit is None:
            return ""
        return event.commit.email if event.commit.sha == deployment.commit else ""
