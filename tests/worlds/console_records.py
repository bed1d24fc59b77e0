"""What the console's pages read, without a process: a journal and an inbox in memory."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bridge.console.records import Records
from bridge.console.sharing import Workshop
from bridge.console.visitors import BY_LINK, Visitor, with_owner
from bridge.core.access import Access, Grant, Person
from bridge.core.apps import App
from bridge.core.decision import Decision, Policy, Reason
from bridge.core.gates.freezes import Freeze
from bridge.core.gates.locks import Lock
from bridge.core.lifecycle import State
from bridge.core.people import Actor
from bridge.core.refused import RefusedWebhooks
from bridge.pipeline.deciding.catchup import HookTroubles
from bridge.pipeline.deciding.interpret import Reading
from bridge.ports.checks import Finding
from bridge.ports.clock import Clock
from bridge.ports.githosts import Hook
from bridge.ports.inbox import Delivery, DeliveryState
from bridge.ports.outcomes import Audited, Outcome, PushSeen, Result
from bridge.views.links import Links
from tests.fakes.journey import app, deployment
from tests.worlds.journal import A, B, journal_in_memory
from tests.worlds.previewed import held, kept, skipped, up

NOW = 1_800_000_000.0

FRAME = {
    "visitor": BY_LINK,
    "path": "/console",
    "query": "",
    "said": "",
    "trouble": {},
    "once": "once",
    "part": False,
}
"""What a page is drawn with besides its own facts."""


def person(id_: str = "github:ada") -> Visitor:
    return Visitor(Person(id_, "Ada", member=False), "github")


class Body:
    """A stored body."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    @property
    def size(self) -> int:
        return len(self._body)

    def whole(self) -> bytes:
        return self._body

    def pieces(self) -> Any:
        yield self._body


@dataclass
class InboxOf:
    """An inbox that holds these deliveries."""

    deliveries: list[Delivery] = field(default_factory=list)

    async def newest(self, limit: int, *, before: int | None = None) -> list[Delivery]:
        found = [one for one in self.deliveries if before is None or one.seq < before]
        return sorted(found, key=lambda one: -one.seq)[:limit]

    async def ended(
        self, state: DeliveryState, limit: int, *, before: int, unused: str = ""
    ) -> list[Delivery]:
        found = await self.newest(len(self.deliveries), before=before)
        fits = [one for one in found if one.state is state and unused in ("", one.unused)]
        return fits[:limit]

    async def find(self, host: str, id: str) -> Delivery | None:  # noqa: A002 - the port's name
        return next((one for one in self.deliveries if (one.host, one.id) == (host, id)), None)

    async def get(self, seq: int) -> Delivery | None:
        return next((one for one in self.deliveries if one.seq == seq), None)


class NoLogs:
    """Logs of a backend that is away."""

    async def tail(self, *_: Any) -> str:
        return ""


async def _nothing() -> Sequence[Finding]:
    return ()


@asynccontextmanager
async def records_of(
    apps: Sequence[App] = (),
    *,
    grants: Sequence[Grant] = (),
    freezes: Sequence[Freeze] = (),
    clock: Clock = lambda: NOW,
) -> AsyncIterator[Records]:
    """Records without deliveries; `clock`: the journal's."""
    journal = journal_in_memory(clock)
    await journal.save_apps("dokploy", list(apps))
    inbox = InboxOf()
    try:
        yield Records(
            journal,
            inbox,  # type: ignore[arg-type]  # what the pages ask of it
            None,  # type: ignore[arg-type]  # nothing acts
            with_owner(Access(grants)),
            lambda: apps,
            dict,
            {},
            Reading(inbox, {}),  # type: ignore[arg-type]  # what the pages ask of it
            Links(),
            NoLogs(),  # type: ignore[arg-type]  # a backend that is away
            Policy(),
            lambda: NOW,
            Workshop(lambda: NOW),
            _nothing,
            freezes,
        )
    finally:
        await journal.stop()


async def tell(records: Records, words: str, label: str = "shop/web") -> None:
    """Have everything said with the same words: names, messages, notes, paths, reasons."""
    journal: Any = records.journal
    inbox: Any = records.inbox
    ref = f"refs/heads/{''.join(words.split())}"  # a ref has no spaces
    states = [State.HELD, State.RUNNING, State.DONE, State.FAILED, State.UNHEALTHY]
    for seq, state in enumerate(states, 1):
        one = deployment(
            seq,
            app=label,
            ref=ref,
            message=words,
            author=words,
            note=words,
            trigger=words,
        )
        push = PushSeen(f"github 1 {ref}", A, B, repository=words, author=words)
        decision = Decision(one.app_id, label, Reason.PATH_HIT, words)
        outcome = Outcome(seq, words, (decision,), (one,), push=push, explicit=True)
        await journal.record([outcome], window=0.0)
        facts = {"log_tail": words, "deployed_commit": B, "live_at": NOW} if seq > 2 else {}
        if state is State.UNHEALTHY:
            await journal.move(one.id, State.VERIFYING, words)
        if state is not State.HELD:
            await journal.move(one.id, state, words, **facts)
        inbox.deliveries.append(
            Delivery(
                seq,
                "github",
                words,
                words,
                {"x-other": words, words: words},
                NOW,
                DeliveryState.DECIDED if seq > 1 else DeliveryState.FAILED,
                error=words if seq == 1 else None,
                stored=Body(json.dumps({"a": words, words: [words]}).encode()),
            )
        )
    await _preview(records, words, label)
    lock = Lock(f"app/{deployment(1).app_id}", label, "cli:x", words, words, NOW)
    await journal.take_lock(lock, [deployment(1).app_id], steal=True)
    await journal.audit(
        Audited(NOW, Actor(name=words), words, deployment(1).app_id, label, (), Result.read(words))
    )
    hook = Hook("repos/a/b", words, None, words)
    await HookTroubles(journal, lambda: NOW).note(words, words, [(hook, None)])
    await journal.keep_refused(
        [RefusedWebhooks(NOW, words[:20], "unauthorized", words, words, "1", words, last=NOW)]
    )


def hostile_app(words: str, label: str = "shop/web") -> App:
    """An app whose every name is like that."""
    project, _, name = label.partition("/")
    return app(
        project=project or words,
        name=name or words,
        url=f"https://{words}" if words.isalnum() else "https://calm",
        page=f"javascript:{words}",
        watch_paths=(words or "x",),
    )


async def _preview(records: Records, words: str, label: str) -> None:
    """Have previews whose pull requests, addresses and troubles are said with the same words."""
    of = app(project=label.partition("/")[0], name=label.partition("/")[2])
    said: dict[str, Any] = {"title": words, "author": words, "head": words}
    safe, unsafe = "https://calm", f"javascript:{words}"
    waits = await held(records.journal, of, 1, **said, url=safe)
    await kept(records.journal, waits, note=words, url=unsafe, failures=3)
    there = await up(records.journal, of, 2, **said, url=unsafe, head_sha=B)
    await kept(records.journal, there, made=deployment(1).app_id, asked=A, url=safe)
    await skipped(records.journal, of, 3, note=words, title=words, author=words)
