"""What a push would do to apps as they are, or to one as it might be. Pure."""

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bridge.cli.forms import decision_form, said, tag_words
from bridge.core.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.cli.payloads import Payload
    from bridge.core.decision import Decision, Policy
    from bridge.core.events import Event, RefPushed
    from bridge.core.watch import App, Rules


MOST = 200
"""For so many apps of one push it is looked for what came nearest; --app asks for any other."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """An app that there is not, or not like this.

    Attributes:
        app: its label, or an app of the journal whose other settings it has.
        rules: what differs from the apps that there are; they say nothing where nothing does.
    """

    app: str | None
    rules: "Rules"

    @property
    def asked(self) -> bool:
        """Whether anything differs from the apps that there are."""
        return said(self.rules) != {}


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
    from bridge.core.events import Asked, PullRequestOpened, RefPushed

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
    if isinstance(meaning, PullRequestOpened):
        words = f"pull request {meaning.number} was opened: nothing deploys for that"
        return form | {"ignored": words}
    if isinstance(meaning, Asked):
        words = f"{meaning.actor or 'somebody'} asked to {meaning.action} {meaning.target}"
        return form | {"ignored": f"no webhook: {words}"}
    return form | {"ignored": meaning.reason}


def _nearness(
    push: "RefPushed", app: "App", decision: "Decision", policy: "Policy | None"
) -> dict[str, Any]:
    """What is probably not meant in an app's watch paths, and what came nearest to them.

    Args:
        policy: None where that is not looked for.
    """
    if policy is None:
        return {"findings": None, "near_miss": None}
    from bridge.core.decision import Reason
    from bridge.core.watch_paths.lint import lint
    from bridge.core.watch_paths.near_miss import near_miss

    how = policy.semantics, policy.picomatch
    missed = decision.reason is Reason.NO_PATH_HIT
    miss = near_miss(app.watched, push.paths, *how) if missed else None
    return {
        "findings": [asdict(one) for one in lint(app.watched, *how)],
        "near_miss": miss and asdict(miss),
    }


def decisions_for(
    push: "RefPushed", known: Known, what_if: WhatIf
) -> "tuple[list[tuple[App, Decision]], list[str]]":
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
        return [(app, known.decide(push, app)) for app in apps], []
    if base is not None and not concerns(push, base):
        base = None
    made = _made_up(push, base, what_if)
    return [(made, known.decide(push, made))], [_assumed(push, made, base)]


def _assumed(push: "RefPushed", made: "App", base: "App | None") -> str:
    if made.waits_for == "tag":
        which = ", ".join(tag_words(made.rules))
        deploys = f"tags{f' ({which})' if which else ''} of {push.repository.name}"
    else:
        watched = " ".join(made.watched or ()) or "everything"
        deploys = f"pushes to {made.branch} of {push.repository.name}, watching {watched}"
    return f"{'an app that' if base is None else base.label} deploys {deploys}"


def _made_up(push: "RefPushed", base: "App | None", what_if: WhatIf) -> "App":
    from bridge.core.events import RefKind
    from bridge.core.watch import App, Source, SourceType

    if base is None:
        branch = push.ref.name if push.ref.kind is RefKind.BRANCH else "main"
        repository = push.repository
        source = Source(SourceType(repository.host), repository=repository.name, branch=branch)
        base = App("what-if", what_if.app or "what-if", "", source=source)
    return replace(base, rules=what_if.rules.over(base.rules))


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
