"""What people can do about a pull request without a preview."""

from collections.abc import Mapping

from bridge.core.previews.preview import Preview
from bridge.core.previews.verdict import Why

REMEDIES: Mapping[Why, str] = {
    Why.WANTED: "",
    Why.CLOSED: "a pull request that is opened again has one",
    Why.NO_PREVIEWS: "the rule `previews` in bridge.yaml gives an app some",
    Why.NATIVE: "where the rule `previews` is to make them, switch the backend's off",
    Why.OTHER_BASE: "only pull requests to the branch that the app deploys have one",
    Why.DRAFT: "mark it as ready, or write `drafts: true` in the rule",
    Why.NO_LABEL: "add the label",
    Why.FORK: "write `forks: approval` in the rule to build those that somebody approves",
    Why.NO_PATH_HIT: "only pull requests that change what the app watches have one",
    Why.WATCH_PATHS_BROKEN: "correct the watch paths: `dokploy-bridge config check` names them",
    Why.STOPPED: "push, or run `dokploy-bridge previews extend {name}`",
    Why.IDLE: "push, or run `dokploy-bridge previews extend {name}`",
    Why.APPROVAL: "look at it, then run `dokploy-bridge previews approve {name} --commit {commit}`",
    Why.LIMIT: "it takes the next free place by itself; `dokploy-bridge previews stop` makes one",
    Why.CANNOT_BUILD: "run `dokploy-bridge doctor`",
}
"""A sentence for each reason; "" if there is nothing to do."""


def remedy_of(preview: Preview) -> str:
    """Return what somebody can do about the reason of a preview; "" if nothing has to be done."""
    if preview.reason not in tuple(Why):
        return ""  # nobody has looked at it yet, or a newer release has
    says = REMEDIES[Why(preview.reason)]
    return says.format(name=preview.name, commit=preview.pull.head_sha[:12])
