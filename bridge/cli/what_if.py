"""Decide a push for the present apps, or for a hypothetical one. Pure."""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.core.errors import MalformedPayload, NotFound, Rejected
from bridge.core.validation_errors import shortened
from bridge.githosts import HOSTS
from bridge.views.decisions import decision_form
from bridge.views.triggers import said, tag_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.core.apps import App, Rules, Source
    from bridge.core.decision import Decision, Policy
    from bridge.core.events import Event, RefPushed, Repository
    from bridge.core.rules import AppTags
    from bridge.ports.inbox import Delivery
    from bridge.ports.providers import Provider


MOST = 200
"""The most apps of one push for which to find the nearest miss; --app covers any other."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A hypothetical app, or changes of an existing one.

    Attributes:
        app: its label, or an app of the journal whose other settings apply.
        rules: the differences from the existing apps; empty if there are none.
    """

    app: str | None
    rules: "Rules"

    @property
    def asked(self) -> bool:
        """True if anything differs from the existing apps."""
        return said(self.rules) != {}


@dataclass(frozen=True, slots=True)
class Known:
    """The basis of decisions.

    Attributes:
        apps: with our own rules applied.
        tags: the tags of apps that deploy only newer ones, by id.
        pushed_by: a time by which the push had surely happened; None if unknown, as for a file.
    """

    policy: "Policy"
    apps: "Sequence[App]" = ()
    tags: "Mapping[str, AppTags]" = field(default_factory=dict)
    pushed_by: float | None = None

    def decide(self, push: "RefPushed", app: "App") -> "Decision":
        """Return the decision for one app, assuming that its backend's clock is right."""
        from bridge.core.apps import made_at
        from bridge.core.decision import decide
        from bridge.core.rules import NO_TAGS
        from bridge.pipeline.deciding.decide import unless_made_later

        decision = decide(push, app, self.policy, tags=self.tags.get(app.id, NO_TAGS))
        return unless_made_later(decision, app, made_at(app, {app.backend: 0.0}), self.pushed_by)


def explained(
    payload: "Payload", meaning: "Event", known: Known, what_if: WhatIf
) -> dict[str, Any]:
    """Return the explanation for scripts; raise NotFound if an app is unknown."""
    from bridge.core.events import (
        Asked,
        CheckReported,
        PullRequestChanged,
        RefPushed,
    )

    form: dict[str, Any] = {
        "host": payload.host,
        "event": payload.event,
        "assumed": list(payload.assumed),
        "ignored": None,
        "decisions": [],
    }
    if isinstance(meaning, RefPushed):
        decided, assumed = decisions_for(meaning, known, what_if)
        return (
            form
            | push_form(meaning)
            | {
                "assumed": form["assumed"] + assumed,
                "decisions": [
                    decision_form(decision)
                    | _nearness(meaning, app, decision, known.policy if place < MOST else None)
                    for place, (app, decision) in enumerate(decided)
                ],
            }
        )
    if isinstance(meaning, PullRequestChanged):
        done = "was opened" if meaning.opened else "has changed"
        done = done if meaning.pull.open else "was merged or closed"
        words = f"pull request {meaning.pull.number} {done}: nothing deploys for that"
        if meaning.opened and not meaning.pull.own:
            words = f"pull request {meaning.pull.number} is from a fork, which sends its own pushes"
        return form | {"ignored": words}
    if isinstance(meaning, CheckReported):
        words = f"a check of {meaning.commit[:7]}: it only lets waiting deployments pass"
        return form | {"ignored": words}
    if isinstance(meaning, Asked):
        words = (
            f"{str(meaning.actor) or 'somebody'} asked to {meaning.action.verb} {meaning.target}"
        )
        return form | {"ignored": f"no webhook: {words}"}
    return form | {"ignored": meaning.reason}


def _nearness(
    push: "RefPushed", app: "App", decision: "Decision", policy: "Policy | None"
) -> dict[str, Any]:
    """Return probable mistakes in an app's watch paths, and the nearest miss.

    Args:
        policy: None to skip the nearest miss.
    """
    if policy is None:
        return {"findings": None, "near_miss": None}
    from bridge.core.decision import Reason

    return nearness(app, push.paths, policy, missed=decision.reason is Reason.NO_PATH_HIT)


def nearness(
    app: "App", paths: "Sequence[str] | None", policy: "Policy", *, missed: bool
) -> dict[str, Any]:
    """Return probable mistakes in an app's watch paths, and the nearest miss if nothing fits."""
    from bridge.core.matching.lint import lint
    from bridge.core.matching.near_miss import near_miss

    how = policy.semantics, policy.picomatch
    miss = near_miss(app.watched, paths, *how) if missed else None
    return {
        "findings": [asdict(one) for one in lint(app.watched, *how)],
        "near_miss": miss and asdict(miss),
    }


def decisions_for(
    push: "RefPushed", known: Known, what_if: WhatIf
) -> "tuple[list[tuple[App, Decision]], list[str]]":
    """Return the decisions by app, and the assumptions about a hypothetical one."""
    from bridge.core.decision import concerns, of_own_branch
    from bridge.core.pins import owner_of

    if known.apps and not what_if.asked:
        concerned = [app for app in known.apps if concerns(push, app)]
        if (owner := owner_of(push, concerned)) is not None:
            return [(owner, of_own_branch(owner, push))], []
    apps, assumed = apps_for(push, known, what_if)
    return [(app, known.decide(push, app)) for app in apps], assumed


def apps_for(push: "RefPushed", known: Known, what_if: WhatIf) -> "tuple[list[App], list[str]]":
    """Return the apps that a push concerns, or a hypothetical one with the assumptions about it."""
    from bridge.core.apps import find_app
    from bridge.core.decision import concerns

    base: App | None = None
    if what_if.app is not None and known.apps:
        try:
            base = find_app(known.apps, what_if.app)
        except NotFound:
            if not what_if.asked:
                raise
    if known.apps and not what_if.asked:
        # Report the requested app even if the push does not concern it.
        return [base] if base else [app for app in known.apps if concerns(push, app)], []
    if base is not None and not concerns(push, base):
        base = None
    made = _made_up(push, base, what_if)
    return [made], [_assumed(push, made, base)]


def _assumed(push: "RefPushed", made: "App", base: "App | None") -> str:
    if made.waits_for == "tag":
        which = ", ".join(tag_words(made.rules))
        deploys = f"tags{f' ({which})' if which else ''} of {push.repository.name}"
    else:
        watched = " ".join(made.watched or ()) or "everything"
        deploys = f"pushes to {made.branch} of {push.repository.name}, watching {watched}"
    return f"{'an app that' if base is None else base.label} deploys {deploys}"


def _made_up(push: "RefPushed", base: "App | None", what_if: WhatIf) -> "App":
    from bridge.core.apps import App
    from bridge.core.events import RefKind

    if base is None:
        branch = push.ref.name if push.ref.kind is RefKind.BRANCH else "main"
        repository = push.repository
        source = _source_of(repository, branch)
        base = App("what-if", what_if.app or "what-if", "", source=source)
    return replace(base, rules=what_if.rules.over(base.rules), made_at=None)


def _source_of(repository: "Repository", branch: str) -> "Source":
    """Return a source that matches the push's repository."""
    from bridge.core.apps import Source, SourceType

    if repository.kind in {one.value for one in SourceType}:
        return Source(SourceType(repository.kind), repository=repository.name, branch=branch)
    return Source(SourceType.GIT, url=min(repository.urls, default=None), branch=branch)


def push_form(push: "RefPushed") -> dict[str, Any]:
    """Return a push's own details."""
    return {
        "repository": push.repository.name,
        "ref": str(push.ref),
        "before": push.before,
        "after": push.after,
        "commit": push.commit.sha if push.commit else None,
        "pusher": push.pusher,
        "paths": None if push.paths is None else list(push.paths),
        "paths_note": push.paths_note,
    }


# ── Read a webhook from a file: its host and event from headers, or guessed from the body ─────────

_REQUEST = re.compile(rb"[A-Z]+ (\S+) HTTP/[0-9.]+\r?\n")
_BLANK = re.compile(rb"\r?\n\r?\n")
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Payload:
    """A webhook to explain.

    Attributes:
        assumed: the guesses, for people.
    """

    host: str
    event: str
    headers: Mapping[str, str]
    body: bytes
    assumed: tuple[str, ...] = ()


def read_payload(
    source: str, host: str | None, event: str | None, servers: "Mapping[str, Provider]"
) -> Payload:
    """Read a file, or standard input for "-"; see `parse_payload`."""
    try:
        raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise Rejected(f"{source} can't be read: {error.strerror}") from None
    return parse_payload(raw, host, event, servers)


def of_delivery(delivery: "Delivery") -> Payload:
    """Return a kept delivery."""
    return Payload(delivery.host, delivery.event, delivery.headers, delivery.body or b"")


def parse_payload(
    raw: bytes,
    host: str | None,
    event: str | None,
    servers: "Mapping[str, Provider]" = HOSTS,
) -> Payload:
    """Determine host and event; options override headers, and headers the body.

    Args:
        servers: the record of each server, by name.

    Raises:
        Rejected: its sender or its event can't be determined.
    """
    from bridge.core.refused import first_of, imitators

    if host is not None and host not in servers:
        known = ", ".join(servers)
        raise Rejected(f"--host {shortened(host)} is none of {known}; name one of them")
    path, headers, body = split_request(raw)
    if not headers and body.startswith(b"payload="):
        headers = {"content-type": _FORM}
    assumed: list[str] = []
    host = host or _told_server(path, headers, servers)
    if host is None:
        host = _guessed_host(_json(body, headers))
        assumed.append(f"--host {host}, from the shape of the body")
    provider = servers[host]
    if (odd := first_of(headers, imitators(provider, HOSTS))) is not None:
        raise Rejected(f"{odd} is not a header of {provider.title}'s: leave out --host {host}")
    event = event or headers.get(provider.event_header.lower())
    if event is None:
        event = provider.event_of(_json(body, headers))
        if event is None:
            raise Rejected(
                "the body does not show its event; give --event, as in the header"
                f" {provider.event_header.lower()}"
            )
        assumed.append(f"--event {event!r}, from the shape of the body")
    return Payload(host, event, headers, body, tuple(assumed))


def split_request(raw: bytes) -> tuple[str, dict[str, str], bytes]:
    """Return path, headers with lower-case names, and body; a bare body has no path or headers."""
    line = _REQUEST.match(raw)
    if line is None:
        return "", {}, raw
    parts = _BLANK.split(raw[line.end() :], maxsplit=1)
    headers: dict[str, str] = {}
    for one in parts[0].decode("latin-1").splitlines():
        name, _, value = one.partition(":")
        headers[name.strip().lower()] = value.strip()
    return line[1].decode("latin-1"), headers, parts[1] if len(parts) > 1 else b""


def _told_server(
    path: str, headers: Mapping[str, str], servers: "Mapping[str, Provider]"
) -> str | None:
    """Return the server that the headers and the path name; the headers name only its kind."""
    from multidict import CIMultiDict

    from bridge.core.events import kind_of
    from bridge.core.refused import sender_of

    kind = sender_of(CIMultiDict(headers), HOSTS)
    named = (one for one in servers if path.rstrip("/").endswith(f"/{one}"))
    return next((one for one in named if kind in (kind_of(one), None)), kind)


def _guessed_host(body: Mapping[str, Any]) -> str:
    likest = max(HOSTS.values(), key=lambda one: one.likeness(body))
    if likest.likeness(body):
        return likest.key
    titles = " nor ".join(f"{one.title}'s" for one in HOSTS.values())
    raise Rejected(f"the body is neither {titles}; name the sender with --host")


def _json(body: bytes, headers: Mapping[str, str]) -> Mapping[str, Any]:
    from urllib.parse import parse_qs

    if headers.get("content-type", "").startswith(_FORM):
        body = parse_qs(body).get(b"payload", [b""])[0]
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedPayload("the payload is not JSON; is it the right file?") from None
    if not isinstance(data, dict):
        raise MalformedPayload("the payload must be a JSON object")
    return data
