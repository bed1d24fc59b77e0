"""What an operation is: its name, arguments, right, help, and what surrounds each call.

An operation is an async function of a `Context` and of typed arguments (`arguments.py`) that
returns a `View`. Doors read arguments their own way and render views; they know no operation by
name. Rights are checked here, and refusals are recorded, whatever door a call comes through.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol

from bridge.core.access import EVERY_APP, Right
from bridge.core.chat.calls import Call, Given
from bridge.core.errors import Ambiguous, NotFound, Rejected
from bridge.core.gates.locks import Scope
from bridge.views.view import View

if TYPE_CHECKING:  # declaring operations must be quick: each start of a command waits for it
    from bridge.core.access import Person
    from bridge.core.apps import App
    from bridge.core.configuration import fields
    from bridge.core.lifecycle import Deployment
    from bridge.operations.desk import Desk
    from bridge.pipeline.gates.commands import Requester
    from bridge.ports.chats import Place

# ── who asks, and what for ────────────────────────────────────────────────────────────────────────


class OfApp(Protocol):
    """What is about an app, given by its id and its label."""

    @property
    def app_id(self) -> str: ...

    @property
    def app(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Context:
    """One call: who asks, from where, and the parts to answer with.

    Attributes:
        call: what they ask for.
        by: how they are named where they act; None: by the door, with their id.
        once: the id of the delivery that it is kept as; one id acts only once.
        plan_only: show what would be done, and do nothing.
    """

    desk: "Desk"
    call: Call
    person: "Person"
    place: "Place"
    by: "Requester | None" = None
    once: str = ""
    plan_only: bool = False

    @property
    def right(self) -> Right:
        """The right that the operation needs."""
        return OPERATIONS[self.call.name].needs or Right.VIEW

    @property
    def actor(self) -> "Requester":
        """Who acts, as gates and the audit log name them."""
        from bridge.pipeline.audit import named
        from bridge.pipeline.gates.commands import Requester

        if self.by is not None:
            return self.by
        person, door = self.person, self.desk.door
        email, accounts = person.email or "", person.accounts(door)
        return Requester(person.key(door), named(door, person), email, accounts)

    def seen(self, right: Right = Right.VIEW) -> "list[App]":
        """Return the apps to which they have a right, by label."""
        return self.desk.finding.apps(self.person, self.place, right)

    async def shown(self, id_: str, app: "App") -> "Deployment":
        """Return the deployment of an app that a door has shown; raise Rejected if it is another's.

        Its id proves nothing: the right is to the app that is named beside it.
        """
        found = await self.desk.journal.deployment(id_)
        if found is None or found.app_id != app.id:
            raise Rejected("That deployment is gone")
        return found

    async def seen_gone(self) -> "list[App]":
        """Return the apps that were deleted, or whose backend was removed, and that they viewed."""
        return await self.desk.finding.gone_apps(self.person, self.place)

    def sees(self, label: str = EVERY_APP, right: Right = Right.VIEW) -> bool:
        """Return whether they may view the app with a label, existing or not; or every app.

        Args:
            right: another right that they need to it.
        """
        return self.desk.finding.may(self.person, self.place, right, label)

    async def viewable(self) -> "Callable[[OfApp], bool]":
        """Return what tells whether they may view the app of something, live or gone."""
        ids = {app.id for app in [*self.seen(), *await self.seen_gone()]}
        return lambda one: one.app_id in ids or self.sees(one.app)

    def typed(self, words: str) -> str:
        """Return a call as it is typed at this door."""
        return f"`{self.desk.program} {words}`"

    @property
    def help(self) -> str:
        """Return how help about this call is asked for at this door."""
        return f"`{self.desk.help.format(self.call.name)}`"

    def check(self, right: Right, about: "App | Scope | OfApp | None") -> None:
        """Raise NotAllowed if they lack a right to an app, or to any app: of a scope, or of all."""
        from bridge.core.apps import App
        from bridge.core.chat.replies import NotAllowed

        finding = self.desk.finding
        if about is None:
            denied = finding.denied_anywhere(self.person, self.place, right)
        elif isinstance(about, Scope):
            denied = finding.scope_denied(self.person, self.place, about)
        elif isinstance(about, App):
            denied = finding.denied(self.person, self.place, right, about)
        else:
            denied = finding.denied_of(self.person, self.place, right, about.app)
        if denied is not None:
            raise NotAllowed(denied)


class Unfound(NotFound):
    """There is nothing by that name, or several; the message says how to name one.

    Attributes:
        why: the same without names that may have been meant.
        like: these names, the likeliest first.
        argument: the name of the operation's argument.
        text: what was given for it, if it takes several texts.
    """

    def __init__(self, words: str, why: str, like: Sequence[str]) -> None:
        super().__init__(words)
        self.why = why
        self.like = tuple(like)
        self.argument = ""
        self.text = ""

    def instead(self, given: Given, name: str) -> dict[str, Any]:
        """Return the arguments with another name in its place."""
        said: Any = given.get(self.argument)
        if isinstance(said, list | tuple):
            return {**given, self.argument: [name if one == self.text else one for one in said]}
        return {**given, self.argument: name}


class Several(Unfound, Ambiguous):
    """Several things have that name."""


# ── arguments ─────────────────────────────────────────────────────────────────────────────────────


class Door(StrEnum):
    """A way to ask."""

    COMMAND_LINE = "command line"
    CHATS = "chats"
    CONSOLE = "console"


Took = tuple[str, int]
"""The text of an argument, and how many of a chat's words it takes."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How the values of an argument are written, read and explained, at each door.

    Attributes:
        metavar: its name in help, e.g. "SCOPE".
        read: returns the value of a text; raises Rejected.
        help: one sentence, or a few words.
        example: a value as somebody would write it.
        option: how the command line names it; "" for a positional argument. With `short`, in one
            letter; with `also`, in another word.
        takes: finds it at the beginning of a chat's words; None if it is not typed there.
        behind: it is typed at once behind the name before it, after this, e.g. "@".
        rest: all words that are left are its text.
        checked: the operation's right must cover it.
        flag: it is given or not, and has no text.
        many: it may be given several times; the value is a tuple.
        number: the least and the most, if it is a whole number.
        most: the most characters that it may have; None for no limit of its own.
        hidden: a door gives it along with what was shown; nobody types it.
        completes: what the command line completes it with, e.g. "app" or "repository".
        sets: the field of a configuration that it sets, from which doors make its input.
        only: the one door where it can be given; None for all.
        assigns: it is KEY=VALUE; the command line asks for the value after a KEY alone.
        sealed: the same, and no value may stand on a command line.
        file: a file, whose text the command line gives along as `text`.
        exact: stars and the like are part of it, where a chat may have them for markup.
    """

    metavar: str
    read: Callable[[str, Context], Any]
    help: str = ""
    example: str = ""
    option: str = ""
    short: str = ""
    takes: Callable[[Sequence[str]], Took | None] | None = None
    behind: str = ""
    rest: bool = False
    checked: bool = False
    flag: bool = False
    many: bool = False
    number: tuple[int, int] | None = None
    most: int | None = None
    hidden: bool = False
    completes: str = ""
    also: str = ""
    sets: "fields.Field | None" = None
    only: Door | None = None
    assigns: bool = False
    sealed: bool = False
    file: bool = False
    exact: bool = False

    def at(self, door: Door) -> bool:
        """Return whether somebody can give it at a door."""
        return not self.hidden and self.only in (None, door)


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of one operation.

    Attributes:
        default: its value if nothing is given.
    """

    name: str
    kind: Kind
    required: bool
    default: Any = None

    async def read(self, given: Given, ctx: Context) -> Any:
        """Return the value of what was given, None for nothing; raise Rejected if it can't be."""
        text = given.get(self.name, self.default)
        if self.kind.flag:
            return text is True
        try:
            if self.kind.many:
                texts = text if isinstance(text, list | tuple) else str(text or "").split()
                return tuple(self._read(one, ctx) for one in texts)
            is_given = text is not None and not (text == "" and self.required)
            value = self.kind.read(str(text), ctx) if is_given else None
            return await value if inspect.isawaitable(value) else value
        except Unfound as error:
            error.argument = self.name
            raise

    def _read(self, text: str, ctx: Context) -> Any:
        """Return the value of one of several texts."""
        try:
            return self.kind.read(text, ctx)
        except Unfound as error:
            error.text = text
            raise


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that can be asked for.

    Attributes:
        name: its words, e.g. "lock" or "previews stop".
        does: what it does, in one sentence; more: what else to know.
        needs: the right to what it is about, which is every app where it names none; None for what
            each may ask of what they may view.
        right_varies: it checks that right, or a lesser one, by itself.
        acts: it changes something.
        recorded: what it does writes the audit log itself; otherwise it is written here.
        plan: shows what it would do, where that is to be agreed to first. It takes arguments as
            `run` does, and perhaps others; what it has a default for may still be asked for after
            it. It returns a view with `asks`; None if there is nothing to ask, or they have agreed
            to what they have seen, unless only the plan is wanted.
        family: what it belongs to, for help.
        examples: calls as they are typed, without the program's name.
        aliases: other words for it, with the arguments that they imply.
        asks_hosts: the arguments with which Git hosts are asked.
        asks_backends: backends are asked; where `asks_hosts` names arguments, only with these.
        of_backends: it is about apps as their backends have them; the journal may know none.
        kept: it is kept as a delivery, whose end can be waited for; the data is `Kept`.
        lists: it lists what there is, which may be nothing, even if there is no data yet.
        sets_up: it is there before a bridge has run: it makes the data that it needs, and acts at
            Git hosts and backends by itself.
        not_at: the doors that lack it, each with the reason.
        button: what a button for it says.
    """

    name: str
    run: Callable[..., Awaitable[View]]
    arguments: tuple[Argument, ...]
    does: str
    more: str = ""
    needs: Right | None = None
    right_varies: bool = False
    acts: bool = False
    recorded: bool = False
    plan: "Plan | None" = None
    family: str = ""
    examples: tuple[str, ...] = ()
    aliases: Mapping[str, Given] = field(default_factory=dict)
    asks_hosts: frozenset[str] = frozenset()
    asks_backends: bool = False
    of_backends: bool = False
    kept: bool = False
    lists: bool = False
    not_at: Mapping[Door, str] = field(default_factory=dict)
    sets_up: bool = False
    button: str = ""

    @property
    def help(self) -> str:
        """All of what to know of it."""
        return f"{self.does}\n\n{self.more}".strip()


OPERATIONS: dict[str, Operation] = {}
"""All operations by name, in the order in which help lists them."""

GROUPS: dict[str, str] = {}
"""What is said of operations that share the beginning of their names, by that."""


def offered(door: Door) -> list[Operation]:
    """Return what can be asked for at a door, in the order in which help lists it."""
    return [one for one in OPERATIONS.values() if door not in one.not_at]


Run = Callable[..., Awaitable[View]]
Plan = Callable[..., Awaitable[View | None]]


def operation(
    name: str,
    *,
    family: str,
    needs: Right | None = None,
    right_varies: bool = False,
    acts: bool = False,
    recorded: bool = False,
    plan: Plan | None = None,
    until_seen: bool = False,
    examples: Sequence[str] = (),
    aliases: Mapping[str, Given] | None = None,
    asks_hosts: Sequence[str] = (),
    asks_backends: bool = False,
    of_backends: bool = False,
    kept: bool = False,
    lists: bool = False,
    not_at: Mapping[Door, str] | None = None,
    sets_up: bool = False,
    button: str = "",
    more: str = "",
) -> Callable[[Run], Run]:
    """Declare the function below as an operation; see `Operation`.

    Its docstring is the help: the first line is what it does. Its parameters after the context are
    annotated with the types of `arguments.py`. Instead of its further lines, `more` is help, too.

    Args:
        until_seen: the function is its own plan: it only shows what it would do, and asks, until
            `seen` says that they have agreed to that.
    """

    def declare(run: Run) -> Run:
        first = _first(run) if until_seen else plan
        does, _, said = (inspect.getdoc(run) or "").partition("\n\n")
        OPERATIONS[name] = Operation(
            name,
            run,
            tuple(_arguments(run, first)),
            does,
            " ".join(said.split()) or more,
            needs,
            right_varies,
            acts,
            recorded,
            first,
            family,
            tuple(examples),
            aliases or {},
            frozenset(asks_hosts),
            asks_backends,
            of_backends,
            kept,
            lists,
            not_at or {},
            sets_up,
            button or name.capitalize(),
        )
        return run

    return declare


def _first(run: Run) -> Plan:
    """Return the plan of an operation that shows it by itself until it was seen."""

    @wraps(run)
    async def plan(ctx: Context, **values: Any) -> View | None:
        agreed = values["seen"] is not None and not ctx.plan_only
        return None if agreed else await run(ctx, **values | {"seen": None})

    return plan


def _arguments(run: Run, plan: Plan | None) -> Iterator[Argument]:
    """Yield the arguments: what follows the context, and what only the plan takes."""
    taken = dict(inspect.signature(plan).parameters) if plan is not None else {}
    for name, one in list((taken | dict(inspect.signature(run).parameters)).items())[1:]:
        kind = next(mark for mark in one.annotation.__metadata__ if isinstance(mark, Kind))
        required = one.default is inspect.Parameter.empty
        yield Argument(name, kind, required, None if required else one.default)
