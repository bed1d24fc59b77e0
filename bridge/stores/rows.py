"""Records to rows and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bridge.core.decision import Decision, Reason
from bridge.core.events import Action
from bridge.core.lifecycle import Deployment, State
from bridge.core.watch import App, AppKind, Source, SourceType, Trigger
from bridge.ports import Explained


def as_json(ids: Sequence[str]) -> str:
    """A list of ids as it stands in a row."""
    return json.dumps(list(ids))


def app_row(app: App) -> dict[str, Any]:
    """An app as a row of `apps`."""
    return {
        "id": app.id,
        "backend": app.backend,
        "label": app.label,
        "data": json.dumps(_record(app), sort_keys=True),
        "gone": False,
    }


def _record(app: App) -> dict[str, Any]:
    """What the backend says; our own rules come from the settings, always as they are now."""
    record = asdict(app)
    del record["rules"]
    return record


def read_app(row: Mapping[str, Any]) -> App:
    """An app from a row of `apps`."""
    data = json.loads(row["data"])
    source = data.pop("source")
    paths = data.pop("watch_paths")
    return App(
        **data
        | {
            "kind": AppKind(data["kind"]),
            "trigger": Trigger(data["trigger"]),
            "source": source and Source(**source | {"type": SourceType(source["type"])}),
            "watch_paths": None if paths is None else tuple(paths),
        }
    )


def deployment_row(deployment: Deployment) -> dict[str, Any]:
    """A deployment as a row of `deployments`."""
    row = {name: getattr(deployment, name) for name in Deployment.__dataclass_fields__}
    return row | {"known_before": as_json(deployment.known_before)}


def read_deployment(row: Mapping[str, Any]) -> Deployment:
    """A deployment from a row of `deployments`."""
    return Deployment(
        **dict(row)
        | {
            "action": Action(row["action"]),
            "state": State(row["state"]),
            "known_before": tuple(json.loads(row["known_before"])),
        }
    )


def decision_row(seq: int, decision: Decision, at: float) -> dict[str, Any]:
    """A decision as a row of `decisions`."""
    return {
        "seq": seq,
        "app_id": decision.app_id,
        "app": decision.app,
        "reason": decision.reason,
        "evidence": decision.evidence,
        "at": at,
    }


def read_decision(row: Mapping[str, Any]) -> Decision:
    """A decision from a row of `decisions`."""
    return Decision(row["app_id"], row["app"], Reason(row["reason"]), row["evidence"])


def read_explained(row: Mapping[str, Any]) -> Explained:
    """A decision with the push that it was about, where there was one."""
    ref = None if row["ref_key"] is None else str(row["ref_key"]).rpartition(" ")[2]
    return Explained(
        seq=row["seq"],
        at=row["at"],
        decision=read_decision(row),
        delivery=row["delivery"],
        ref=ref,
        commit=row["commit"] or row["after"],
    )
