"""Answer chat commands about previews at once: list, stop, extend, approve.

Rights are checked at each call, for the channel that it comes from; nothing is named that the
person may not view.
"""

from collections.abc import Callable, Sequence

from bridge.core.access import Access, Person
from bridge.core.apps import App
from bridge.core.chat.grammar import Command, Verb, written
from bridge.core.chat.replies import (
    Denied,
    PreviewDone,
    PreviewList,
    PreviewShown,
    Reply,
    Sorry,
    denial,
)
from bridge.core.errors import Ambiguous, NotFound, Rejected
from bridge.core.previews.preview import Preview
from bridge.core.previews.verdict import NEEDS, Act, awaits_approval
from bridge.pipeline.audit import named
from bridge.pipeline.gates.commands import Requester
from bridge.pipeline.previews.commands import Asker, PreviewCommands, offered, without_native
from bridge.ports.chats import Place
from bridge.ports.clock import Clock
from bridge.ports.journal import Journal

SHOWN = 12
"""Characters of a commit in a suggested command."""


class ChatPreviews:
    """Answers people about previews."""

    def __init__(
        self,
        chat: str,
        journal: Journal,
        apps: Callable[[], Sequence[App]],
        access: Access,
        clock: Clock,
    ) -> None:
        """Take the parts; `apps` returns all apps."""
        self._chat = chat
        self._journal = journal
        self._apps = apps
        self._access = access
        self._commands = PreviewCommands(journal, clock)

    async def answer(self, person: Person, place: Place, typed: Command) -> Reply:
        """Carry out or answer what somebody typed."""
        asker = self._asker(person, place)
        if typed.act is None:
            return await self._list(asker, typed.app or "")
        try:
            found = await self._commands.named_ours(asker, typed.app or "")
        except (NotFound, Ambiguous, Rejected) as error:
            return Sorry(_sentence(error))
        if typed.act is Act.APPROVE and typed.rest is None and awaits_approval(found):
            return _which_commit(found)
        return await self._act(asker, typed.act, found, typed.rest or "")

    async def act(
        self, person: Person, place: Place, act: Act, preview_id: str, commit: str
    ) -> Reply:
        """Carry out what somebody clicked; see `ports.chats.PreviewRequests`."""
        asker = self._asker(person, place)
        seen = await self._commands.seen_by(asker, ended=True)
        found = next((one for one in seen if one.id == preview_id), None)
        if found is None:
            return Sorry("That preview is gone, or you may not see its app.")
        return await self._act(asker, act, found, commit)

    async def _list(self, asker: Asker, wanted: str) -> PreviewList:
        native = await self._commands.native_seen_by(asker)
        seen = without_native(await self._commands.seen_by(asker), native)
        those = [one for one in seen if wanted.lower() in one.app.lower()]
        policies = {app.id: app.rules.previews for app in self._apps()}
        last = await self._journal.last_deployments()
        return PreviewList(
            tuple(
                PreviewShown(
                    one,
                    last.get(one.made or ""),
                    one.idle_at(policies.get(one.app_id)),
                    frozenset(offered(asker, one)),
                )
                for one in those
            ),
            wanted,
            tuple(one for one in native if wanted.lower() in one.app.lower()),
        )

    async def _act(self, asker: Asker, act: Act, preview: Preview, commit: str) -> Reply:
        if denied := self._denied(asker, act, preview):
            return denied
        try:
            match act:
                case Act.STOP:
                    after = await self._commands.stop(asker, preview)
                case Act.EXTEND:
                    after = await self._commands.extend(asker, preview)
                case Act.APPROVE:
                    after = await self._commands.approve(asker, preview, commit)
        except Rejected as error:
            return Sorry(_sentence(error))
        app = next((one for one in self._apps() if one.id == after.app_id), None)
        return PreviewDone(act, after, after.idle_at(app.rules.previews if app else None))

    def _denied(self, asker: Asker, act: Act, preview: Preview) -> Denied | None:
        """Return the refusal for somebody without the right, with the lines that would grant it."""
        right, person = NEEDS[act], asker.person
        if person is None or asker.may(right, preview.app):
            return None
        return denial(self._access, person, right, preview.app)

    def _asker(self, person: Person, place: Place) -> Asker:
        by = named(self._chat, person)
        actor = Requester(person.key(self._chat), by, person.email or "")
        return Asker(actor, person, self._access, place.channel)


def _which_commit(preview: Preview) -> Sorry:
    """Return that a commit has to be named, with the command that names the newest one."""
    commit = preview.pull.head_sha[:SHOWN]
    by = f" of {preview.pull.author}" if preview.pull.author else ""
    typed = Command(Verb.PREVIEWS, preview.name, rest=commit, act=Act.APPROVE)
    why = f"Which commit? {preview.label} is at {commit}{by}. Look at it first: it runs on your"
    return Sorry(f"{why} server.", (written(typed),))


def _sentence(error: Exception) -> str:
    said = str(error)
    return f"{said[:1].upper()}{said[1:]}" + ("" if said.endswith((".", "?")) else ".")
