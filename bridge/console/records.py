"""The sources and commands behind the console, each visitor's share of them, and its requests."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

from bridge.console.sharing import Workshop
from bridge.console.visitors import Visitor
from bridge.core.access import EVERY_APP, Access, Grant, Right
from bridge.core.apps import App
from bridge.core.decision import Decision, Policy
from bridge.core.errors import NotFound, Rejected
from bridge.core.gates.freezes import Freeze
from bridge.core.gates.locks import scopes_of
from bridge.core.lifecycle import Deployment, State
from bridge.core.previews.native import NativePreview
from bridge.core.previews.preview import Preview, as_preview, model_id
from bridge.operations.commands import ChatCommands
from bridge.pipeline.deciding.interpret import Reading
from bridge.pipeline.feedback.build_logs import BuildLogs
from bridge.pipeline.previews.commands import previews_seen
from bridge.ports.chats import Place
from bridge.ports.checks import Finding
from bridge.ports.clock import Clock
from bridge.ports.inbox import Inbox
from bridge.ports.journal import Journal
from bridge.views.links import Links

HERE = Place()
"""The place of a console command: no channel."""

GONE = "it is gone, or you may not see its app"


@dataclass(frozen=True, slots=True)
class Records:
    """Everything that pages and actions need.

    Attributes:
        commands: what people can do; each checks their rights.
        access: the grants, with that of the server's owner.
        apps: the known apps of all backends, by label.
        trouble: the backends that can't be read, and why.
        hosts: the Git hosts that are served.
        reading: reads kept deliveries.
        links: the web pages of repositories.
        logs: the logs of the backends' deployments.
        policy: the settings that apply to the decisions for all apps.
        clock: seconds since 1970.
        workshop: works out beside the pages what takes long.
        unmatched: returns what the settings name and is not there.
        freezes: those of the settings.
    """

    journal: Journal
    inbox: Inbox
    commands: ChatCommands
    access: Access
    apps: Callable[[], Sequence[App]]
    trouble: Callable[[], Mapping[str, str]]
    hosts: Collection[str]
    reading: Reading
    links: Links
    logs: BuildLogs
    policy: Policy
    clock: Clock
    workshop: Workshop
    unmatched: Callable[[], Awaitable[Sequence[Finding]]]
    freezes: Sequence[Freeze] = ()

    # ── who may see what ─────────────────────────────────────────────────────────────────────────

    def seen(self, visitor: Visitor, right: Right = Right.VIEW) -> list[App]:
        """Return the apps to which somebody has a right, by label."""
        return self.access.having(visitor.person, right, self.apps(), None)

    def grants_of(self, visitor: Visitor) -> tuple[Grant, ...]:
        """Return the grants that apply to somebody; visitors with the same have the same rights."""
        return self.access.of(visitor.person, None)

    def sees_all(self, visitor: Visitor) -> bool:
        """Return whether somebody may view every app, including future ones."""
        return Right.VIEW in self.access.rights(visitor.person, EVERY_APP, None)

    def rights(self, visitor: Visitor, app: App) -> frozenset[Right]:
        return self.access.rights_to(visitor.person, app, None)

    def may(self, visitor: Visitor, right: Right, app: App) -> bool:
        return self.access.may(visitor.person, right, app, None)

    async def freezes_of(self, apps: Sequence[App]) -> list[Freeze]:
        """Return the freezes, of the settings and by command, that cover any of some apps."""
        scopes = [(app.label, scopes_of(app)) for app in apps]
        every = [*self.freezes, *await self.journal.freezes()]
        return [one for one in every if any(one.covers(*each) for each in scopes)]

    async def decisions(self, visitor: Visitor, seqs: Sequence[int]) -> dict[int, list[Decision]]:
        """Return the decisions that somebody may see, by the deliveries that they may see.

        Nothing of a delivery is read for anybody before this was asked: reading a large one keeps
        others waiting.
        """
        everything = self.sees_all(visitor)
        found = {
            seq: [one for one in those if self.may_see(visitor, one.app)]
            for seq, those in (await self.journal.decisions(seqs)).items()
        }
        return {seq: those for seq, those in found.items() if those or everything}

    async def app(self, visitor: Visitor, app_id: str) -> App:
        """Return an app, also a deleted one; raise NotFound if they may not view it."""
        found = await self._app(app_id)
        if found is None or Right.VIEW not in self.rights(visitor, found):
            raise NotFound(f"There is no app {app_id!r}: {GONE}.")
        return found

    async def deployment(self, visitor: Visitor, id_: str) -> tuple[Deployment, App | None]:
        """Return a deployment and its app; raise NotFound if they may not view it."""
        found = await self.journal.deployment(id_)
        app = await self._app(found.app_id) if found else None
        label = found.app if found else ""
        seen = (
            self.may_see(visitor, label) if app is None else Right.VIEW in self.rights(visitor, app)
        )
        if found is None or not seen:
            raise NotFound(f"There is no deployment {id_!r}: {GONE}.")
        return found, app

    async def _app(self, app_id: str) -> App | None:
        """Return an app, also a deleted one; None if it was never known."""
        apps = {one.id: one for one in self.apps()}
        if app_id in apps:
            return apps[app_id]
        found = await self.journal.app(app_id)
        if found is None or not found.marker:
            return found
        return as_preview(found, apps.get(model_id(found.marker)))

    def may_see(self, visitor: Visitor, label: str, right: Right = Right.VIEW) -> bool:
        """Return whether somebody may view the app with that label, existing or not.

        Args:
            right: another right that they need to it.
        """
        return right in self.access.rights(visitor.person, label, None)

    async def previews(
        self, visitor: Visitor, *, ended: bool = False
    ) -> tuple[list[Preview], list[NativePreview]]:
        """Return the previews that somebody may see; see `previews_seen`."""
        sees = partial(self.may_see, visitor)
        return await previews_seen(self.journal, sees, ended=ended)


# ── The request for a page ────────────────────────────────────────────────────────────────────────

LONGEST = 200
"""Characters of a search."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a page: the named parts of its path, and the fields of its query."""

    parts: Mapping[str, str]
    query: Mapping[str, str]

    def text(self, name: str) -> str:
        """Return a field of the query, without surrounding spaces; "" if it is not given."""
        return self.query.get(name, "").strip()[:LONGEST]

    def number(self, name: str, default: int) -> int:
        """Return a numeric field of the query; raise Rejected for anything else."""
        given = self.text(name)
        if not given:
            return default
        if not is_number(given):
            raise Rejected(f"{name!r} must be a number, not {given!r}.")
        return int(given)

    @property
    def seq(self) -> int:
        """The number of the delivery in the path; raise NotFound if there can't be one."""
        given = self.parts["seq"]
        if not is_number(given):
            raise NotFound("There is no delivery with that number.")
        return int(given)

    def again(self, **changed: object) -> str:
        """Return the query with some fields changed; those that are empty are left out."""
        fields = {k: v for k, v in self.query.items() if k != "said"} | changed
        return urlencode({k: str(v) for k, v in fields.items() if v not in ("", None)})


def is_number(text: str) -> bool:
    """Return whether a text is a number that a database can hold."""
    return text.isascii() and text.isdecimal() and len(text) < 19


def state_named(given: str, what: str) -> State | None:
    """Return the state of a deployment that a query names; None for "", Rejected for others."""
    if given and given not in list(State):
        raise Rejected(f"{given!r} is not {what}: use one of {', '.join(State)}.")
    return State(given) if given else None
