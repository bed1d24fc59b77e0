"""Access rules: the rights of people on apps, by channel. Pure; anything not granted is denied."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from bridge.core.apps import App
from bridge.core.log_text import one_line
from bridge.core.people import service_of

_PLAIN = re.compile(r"[\w:/.-]+").fullmatch
"""Ids that YAML takes without quotes."""

EVERYONE = "everyone"
"""In `who`: all members of the workspace, except guests and Slack Connect users."""


class Right(StrEnum):
    """The rights that can be granted; every other right includes `view`."""

    VIEW = "view"
    DEPLOY = "deploy"  # and redeploy
    CANCEL = "cancel"
    CONFIGURE = "configure"
    LOCK = "lock"  # and unlock, freeze
    APPROVE = "approve"
    OVERRIDE = "override"  # deploy although a gate holds


EVERY_APP = "\N{REPLACEMENT CHARACTER}"
"""A label that no app has, so that only a grant for every app covers it."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person, as the chat knows them, or the service that they signed in with.

    Attributes:
        id: the chat's own, e.g. "U012AB3CD"; other services' with their key, e.g. "github:ada".
        name: for display only; never decides anything.
        email: None if unknown, or not verified.
        groups: names of their groups, and further names of their own, that grants use.
        member: of the chat's workspace; "everyone" means only members.
        stranger: a guest, or from a connected workspace; only grants that name their id apply.
        unsure: why that could not be determined; then they count as a stranger.
        chat: the key of the chat whose id they have, if they use something else.
    """

    id: str
    name: str = ""
    email: str | None = None
    groups: frozenset[str] = frozenset()
    stranger: bool = False
    unsure: str = ""
    member: bool = True
    chat: str = ""

    def key(self, here: str) -> str:
        """Return what tells them from everybody else, whatever they use, e.g. "slack:U012AB3CD".

        Args:
            here: the key of what they use.
        """
        return self.id if ":" in self.id else f"{self.chat or here}:{self.id}"

    def accounts(self, here: str) -> tuple[str, ...]:
        """Return what else their service calls them, sorted, e.g. "github:#583231"."""
        number = f"{service_of(self.key(here))}:#"
        return tuple(sorted(one for one in self.groups if one.startswith(number)))

    @property
    def called(self) -> str:
        return self.name or self.id


@dataclass(frozen=True, slots=True)
class Grant:
    """What some people may do to some apps.

    Attributes:
        who: ids and groups as the services name them, email domains (@example.com) or "everyone".
        apps: labels or label globs; "*" is every app.
        channels: the channels where it applies; empty for all.
    """

    who: tuple[str, ...]
    may: frozenset[Right]
    apps: tuple[str, ...] = ("*",)
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Access:
    """All grants together."""

    grants: Sequence[Grant] = ()

    def rights(self, person: Person, label: str, channel: str | None) -> frozenset[Right]:
        """Return all rights of a person to the app with that label, from a channel."""
        return _rights(self.of(person, channel), label)

    def may(self, person: Person, right: Right, app: App, channel: str | None) -> bool:
        return right in self.rights_to(person, app, channel)

    def rights_to(self, person: Person, app: App, channel: str | None) -> frozenset[Right]:
        """Return all rights of a person to an app; those to what it previews count for it."""
        return _rights_to(self.of(person, channel), app)

    def having(
        self, person: Person, right: Right, apps: Iterable[App], channel: str | None
    ) -> list[App]:
        """Return the apps to which somebody has a right; others are never named to them."""
        grants = self.of(person, channel)
        if any(right in grant.may and "*" in grant.apps for grant in grants):
            return list(apps)
        return [app for app in apps if right in _rights_to(grants, app)]

    def of(self, person: Person, channel: str | None) -> tuple[Grant, ...]:
        here = (one for one in self.grants if not one.channels or channel in one.channels)
        return tuple(one for one in here if _names(one, person))

    @property
    def named(self) -> frozenset[str]:
        """Everybody and every group that grants name."""
        return frozenset(one for grant in self.grants for one in grant.who)


def missing(access: Access, person: Person, right: Right, app: str) -> str:
    """Return why somebody does not have a right.

    Args:
        app: the label of an app that they may view, or the name they typed.
    """
    why = f"no grant in `access` gives you `{right}` for it"
    if elsewhere := _elsewhere(person, right, app, access):
        why += f" here; one does in {' and '.join(elsewhere)}"
    if person.unsure:
        why += f". Who you are could not be found out ({person.unsure}), so only grants that name"
        why += " you count"
    elif person.stranger:
        why += ". You are a guest here or from another workspace, so only grants that name you"
        why += " count"
    return why + "."


def granting(person: Person, right: Right, app: str) -> str:
    """Return the lines of `bridge.yaml` that grant somebody a right to an app."""
    name = one_line(" ".join(person.called.split()))
    id_ = person.id if _PLAIN(person.id) else json.dumps(person.id)
    return "\n".join(
        (
            "access:",
            f"  - who: [{id_}]" + (f"  # {name}" if name and name != person.id else ""),
            f"    may: [{right}]",
            f"    apps: [{json.dumps(one_line(app), ensure_ascii=False)}]",
        )
    )


def _elsewhere(person: Person, right: Right, app: str, access: Access) -> list[str]:
    """Return the channels where they have the right."""
    found: dict[str, None] = {}
    for grant in access.grants:
        anywhere = Access([replace(grant, channels=())])
        if grant.channels and right in anywhere.rights(person, app, None):
            found |= dict.fromkeys(grant.channels)
    return list(found)


def _rights(grants: Iterable[Grant], label: str) -> frozenset[Right]:
    found: set[Right] = set()
    for grant in grants:
        if not found >= grant.may and _covered(grant.apps, label):
            found |= grant.may
    return frozenset(found | {Right.VIEW}) if found else frozenset()


def _rights_to(grants: Sequence[Grant], app: App) -> frozenset[Right]:
    own = _rights(grants, app.label)
    return own | _rights(grants, app.stands_for) if app.stands_for else own


@lru_cache(maxsize=65536)
def _covered(apps: tuple[str, ...], label: str) -> bool:
    """Return whether a label is covered; cached, since every command checks every app."""
    from bridge.core.rules import label_matches  # which no start of a command must wait for

    return any(label_matches(pattern, label) for pattern in apps)


def _names(grant: Grant, person: Person) -> bool:
    if person.id in grant.who:
        return True
    if person.stranger or person.unsure:
        return False
    if (person.member and EVERYONE in grant.who) or not person.groups.isdisjoint(grant.who):
        return True
    domain = (person.email or "").rpartition("@")[2].lower()
    return bool(domain) and f"@{domain}" in {one.lower() for one in grant.who}
