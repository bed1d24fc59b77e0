"""The machine forms: what `--json` prints. Pure; the names are stable."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from bridge.cli.show import iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.cli.outcomes import Arrived
    from bridge.core.decision import Decision
    from bridge.core.lifecycle import Change, Deployment
    from bridge.core.watch import App, Rules
    from bridge.ports.feedback import Raised
    from bridge.ports.outcomes import Audited


def decision_form(decision: "Decision") -> dict[str, Any]:
    """A decision for one app."""
    return {
        "app": decision.app,
        "app_id": decision.app_id,
        "deploy": decision.deploy,
        "reason": str(decision.reason),
        "evidence": decision.evidence,
    }


def arrived_form(one: "Arrived") -> dict[str, Any]:
    """A delivery with what it was about, what was decided, and what became of it."""
    delivery, about = one.delivery, one.about
    ref = about.ref if about else None
    branch = ref.removeprefix("refs/heads/") if ref and ref.startswith("refs/heads/") else None
    return {
        "id": delivery.id,
        "seq": delivery.seq,
        "host": delivery.host,
        "event": delivery.event,
        "state": str(delivery.state),
        "received_at": iso(delivery.received_at),
        "repository": about and about.repository,
        "ref": ref,
        "branch": branch,
        "commit": about and about.commit,
        "author": (about and about.author) or None,
        "attempts": delivery.attempts,
        "error": delivery.error,
        "decisions": [
            decision_form(decision) | {"deployment": _brief(one.deployments.get(decision.app_id))}
            for decision in one.decisions
        ],
    }


def _brief(deployment: "Deployment | None") -> dict[str, Any] | None:
    """How a deployment stands; `deployments` tells the rest."""
    if deployment is None:
        return None
    return {"id": deployment.id, "state": str(deployment.state), "note": deployment.note}


def deployment_form(deployment: "Deployment") -> dict[str, Any]:
    """A deployment, as far as it has come."""
    return {
        "id": deployment.id,
        "app": deployment.app,
        "app_id": deployment.app_id,
        "action": str(deployment.action),
        "state": str(deployment.state),
        "trigger": deployment.trigger,
        "ref": deployment.ref,
        "commit": deployment.commit,
        "deployed_commit": deployment.deployed_commit,
        "delivery": deployment.delivery,
        "created_at": iso(deployment.created_at),
        "asked_at": iso(deployment.asked_at),
        "started_at": iso(deployment.started_at),
        "finished_at": iso(deployment.finished_at),
        "note": deployment.note,
        "superseded_by": deployment.superseded_by,
        "backend_id": deployment.backend_id,
    }


def ended_form(deployment: "Deployment") -> dict[str, Any]:
    """A single deployment: one that failed with the lines of its log that show why."""
    tail = deployment.log_tail
    return deployment_form(deployment) | {"log_tail": tail.split("\n") if tail else []}


def change_form(change: "Change") -> dict[str, Any]:
    """One line of a deployment's history."""
    return {"at": iso(change.at), "state": str(change.state), "note": change.note}


def standing(raised: "Raised") -> str:
    """How a place that shows something stands, in a word."""
    if raised.parked:
        return "parked"
    if raised.error is not None:
        return "failing"
    return "shown" if raised.due_at is None else "due"


def target_form(raised: "Raised") -> dict[str, Any]:
    """A place that shows something, and whether it is up to date."""
    target = raised.target
    return {
        "id": target.id,
        "kind": target.kind,
        "lane": target.lane,
        "place": dict(target.place),
        "link": raised.memory.get("link"),
        "follows": list(target.follows),
        "state": standing(raised),
        "due_at": iso(raised.due_at),
        "attempts": raised.attempts,
        "failing_since": iso(raised.failing_since),
        "error": raised.error,
    }


def audited_form(change: "Audited") -> dict[str, Any]:
    """That somebody changed something."""
    return {
        "number": change.number,
        "at": iso(change.at),
        "by": change.by,
        "app": change.app,
        "app_id": change.app_id,
        "action": change.what,
        "difference": [
            {"field": one.field, "before": one.before, "after": one.after}
            for one in change.difference
        ],
        "outcome": change.outcome,
        "undoes": change.undoes,
    }


def app_form(
    app: "App", last: "Deployment | None", live: "Deployment | None" = None
) -> dict[str, Any]:
    """An app as it deploys, our own rules over the backend's record, with its newest deployment.

    Args:
        live: the newest that is done.
    """
    source = app.source
    return {
        "id": app.id,
        "app": app.label,
        "backend": app.backend,
        "kind": str(app.kind),
        "source": source
        and {
            "type": str(source.type),
            "repository": source.repository,
            "repository_id": source.repository_id,
            "url": source.url,
            "image": source.image,
        },
        **waits_form(app),
        "auto_deploy": app.auto_deploy,
        "page": app.page,
        "url": app.url,
        "last_deployment": last and deployment_form(last),
        "live": live
        and {
            "commit": live.deployed_commit,
            "since": iso(live.finished_at or live.created_at),
            "deployment": live.id,
        },
    }


def waits_form(app: "App") -> dict[str, Any]:
    """What an app waits for, and which of that our own rules say."""
    return {
        "branch": app.branch,
        "trigger": str(app.waits_for),
        "watch_paths": list(app.watched or ()),
        "rules": said(app.rules),
    }


def said(rules: "Rules") -> dict[str, Any]:
    """What our own rules say of an app, without what they do not say."""
    given = {field.name: getattr(rules, field.name) for field in fields(rules)}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value is not None
    }


def tag_words(rules: "Rules") -> list[str]:
    """Which tags deploy, in few words: `v*`, `versions >=1.2 <2`, `only newer`."""
    prefix = rules.tag_prefix and f"{rules.tag_prefix}…"
    prereleases = rules.prereleases and f"pre-releases: {rules.prereleases}"
    versions = rules.versions and f"versions {rules.versions}"
    newer = "only newer" if rules.only_newer else None
    return [one for one in (rules.tags, prefix, versions, prereleases, newer) if one]


def finding_words(finding: "Mapping[str, Any]") -> str:
    """A finding about a watch path, in a sentence and its remedy."""
    sentence = finding["sentence"]
    return f"`{finding['pattern']}`: {sentence[0].lower()}{sentence[1:]} {finding['remedy']}"
