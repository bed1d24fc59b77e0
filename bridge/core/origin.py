"""The origin of a deployment or a change: a push, a tag or a person's request. Pure."""

import re
from dataclasses import dataclass
from enum import StrEnum

_ACTOR = re.compile(r"(?:([^\s:]+): )?(.*?)(?: \(([UW][A-Z0-9]+)\))?", re.DOTALL)
_FOUND = "found by reconciliation"
_REPLAYED = "replayed by "


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who asks for something, or changes it.

    Attributes:
        door: where they came in, e.g. "cli", "slack"; "" for the bridge itself.
        name: for display; "" for nobody.
        id: who they are there, as many choose their own name; "" if it need not be shown.
    """

    door: str = ""
    name: str = ""
    id: str = ""

    def __str__(self) -> str:
        door = f"{self.door}: " if self.door else ""
        return f"{door}{self.name} ({self.id})" if self.id else f"{door}{self.name}"

    @classmethod
    def read(cls, text: str) -> "Actor":
        """Return an actor from the text that earlier releases stored, e.g. "slack: Ada (U1)"."""
        found = _ACTOR.fullmatch(text)
        return cls(*(one or "" for one in found.groups())) if found else cls(name=text)


NOBODY = Actor()


class Cause(StrEnum):
    """What kind of event led to a deployment."""

    PUSH = "push"
    TAG = "tag"
    ASKED = "asked"


@dataclass(frozen=True, slots=True)
class Origin:
    """What led to a deployment.

    Attributes:
        actor: who asked for it, or replayed the push.
        found: reconciliation found the push.
    """

    cause: Cause
    actor: Actor = NOBODY
    found: bool = False

    def __str__(self) -> str:
        """E.g. "push", "tag, replayed by cli: ada", "slack: Ada"."""
        who = str(self.actor)
        if self.cause is Cause.ASKED:
            return who
        return ", ".join(filter(None, (self.cause, self.more(who))))

    def more(self, by: str) -> str:
        """Return what is to be said of a push beside its author; `by` has replayed it."""
        return ", ".join([_FOUND] * self.found + [f"{_REPLAYED}{by}"] * bool(by))

    @classmethod
    def read(cls, text: str) -> "Origin":
        """Return an origin from the text that earlier releases stored."""
        kind, _, more = text.partition(", ")
        if kind not in (Cause.PUSH, Cause.TAG):
            return cls(Cause.ASKED, Actor.read(text))
        by = more.partition(_REPLAYED)[2]
        return cls(Cause(kind), Actor.read(by), more.startswith(_FOUND))


PUSH = Origin(Cause.PUSH)
