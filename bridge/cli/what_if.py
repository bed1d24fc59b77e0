"""What a push would do to apps as they are, or to one as it might be. Pure."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bridge.cli.forms import decision_form
from bridge.core.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.cli.payloads import Payload
    from bridge.core.decision import Decision, Policy
    from bridge.core.events import Event, RefPushed
    from bridge.core.watch import App


@dataclass(frozen=True, slots=True)
class WhatIf:
    """An app that there is not, or not like this.

    Attributes:
        app: its label, or an app of the journal whose other settings it has.
    """

    app: str | None
    paths: tuple[str, ...]
    branch: str | None
    trigger: str | None

    @property
    def asked(self) -> bool:
        """Whether anything differs from the apps that there are."""
        return bool(self.paths or self.branch or self.trigger)


@dataclass(frozen=True, slots=True)
class Known:
    """What decisions rest on.

    Attributes:
        apps: with our own rules laid over them.
        tags: by app id, those it was deployed for.
    """

    policy: "Policy"
    apps: "Sequence[App]" = ()
    tags: "Mapping[str, Sequence[str]]" = field(default_factory=dict)

    def decide(self, push: "RefPushed", app: "App") -> "Decision":
        """The decision for one app."""
        from bridge.core.decision import decide

        return decide(push, app, self.policy, deployed_tags=self.tags.get(app.id, ()))


def explained(
    payload: "Payload", meaning: "Event", known: Known, what_if: WhatIf
) -> dict[str, Any]:
    """The explanation as it is printed for scripts; NotFound where an app is unknown."""
    from bridge.core.events import Asked, RefPushed

    form: dict[str, Any] = {
        "host": payload.host,
        "event": payload.event,
        "assumed": list(payload.assumed),
        "ignored": None,
        "decisions": [],
    }
    if isinstance(meaning, RefPushed):
        decisions, assumed = decisions_for(meaning, known, what_if)
        return (
            form
            | push_form(meaning)
            | {
                "assumed": form["assumed"] + assumed,
                "decisions": [decision_form(one) for one in decisions],
            }
        )
    if isinstance(meaning, Asked):
        words = f"{meaning.actor or 'somebody'} asked to {meaning.action} {meaning.target}"
        return form | {"ignored": f"no webhook: {words}"}
    return form | {"ignored": meaning.reason}


def decisions_for(
    push: "RefPushed", known: Known, what_if: WhatIf
) -> "tuple[list[Decision], list[str]]":
    """What is decided for which apps, and what was assumed where one was made up."""
    from bridge.core.decision import concerns
    from bridge.core.naming import find_app

    base: App | None = None
    if what_if.app is not None and known.apps:
        try:
            base = find_app(known.apps, what_if.app)
        except NotFound:
            if not what_if.asked:
                raise
    if known.apps and not what_if.asked:
        # The one that was asked for is told about even where the push is not its own.
        apps = [base] if base else [app for app in known.apps if concerns(push, app)]
        return [known.decide(push, app) for app in apps], []
    if base is not None and not concerns(push, base):
        base = None
    made = _made_up(push, base, what_if)
    return [known.decide(push, made)], [_assumed(push, made, base)]


def _assumed(push: "RefPushed", made: "App", base: "App | None") -> str:
    watched = " ".join(made.watched or ()) or "everything"
    deploys = {"push": f"pushes to {made.branch}", "tag": "tags"}[made.waits_for]
    words = f"deploys {deploys} of {push.repository.name}, watching {watched}"
    return f"an app that {words}" if base is None else f"{base.label} {words}"


def _made_up(push: "RefPushed", base: "App | None", what_if: WhatIf) -> "App":
    from bridge.core.events import RefKind
    from bridge.core.watch import App, Rules, Source, SourceType, Trigger

    if base is None:
        branch = push.ref.name if push.ref.kind is RefKind.BRANCH else "main"
        repository = push.repository
        source = Source(SourceType(repository.host), repository=repository.name, branch=branch)
        base = App("what-if", what_if.app or "what-if", "", source=source)
    rules = Rules(
        trigger=Trigger(what_if.trigger) if what_if.trigger else None,
        branch=what_if.branch,
        watch_paths=what_if.paths or None,
    )
    return replace(base, rules=rules.over(base.rules))


def push_form(push: "RefPushed") -> dict[str, Any]:
    """What a push says of itself."""
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
