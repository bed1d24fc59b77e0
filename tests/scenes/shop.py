"""The apps and the deployments of a shop that chats are shown with; some of them are extreme."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bridge.backends import BACKENDS
from bridge.core.access import Right
from bridge.core.apps import App, Source, SourceType, Trigger
from bridge.core.events import Action
from bridge.core.gates.locks import BRIDGE, lock_after
from bridge.core.health.fate import Fate, Now
from bridge.core.health.serving import By, Look
from bridge.core.holds import Gate, Hold, Proposal
from bridge.core.lifecycle import FINAL, LIVE, Deployment, NoteKind, State, deployment_id
from bridge.core.people import PUSH, Origin
from bridge.githosts import HOSTS
from bridge.views.links import Around, Links
from tests.scenes.slack_gates import (
    APPROVAL,
    NOON,
    PUSHED,
)

OTHER = "9ab41c7e0d1f2a3b4c5d6e7f8091a2b3c4d5e6f7"


def links_to(github: str = "https://github.com", gitlab: str = "https://gitlab.com") -> Links:
    """Links to Git hosts at these addresses."""
    return Links(
        {"github": (github, HOSTS["github"].pages), "gitlab": (gitlab, HOSTS["gitlab"].pages)},
        {"dokploy": BACKENDS["dokploy"].title},
    )


LINKS = links_to()

WEB = App(
    id="web0000000000000000ap",
    name="web",
    project="shop",
    source=Source(SourceType.GITHUB, repository="acme/shop", branch="main"),
    watch_paths=("apps/web/**", "packages/**"),
)
SEEN = replace(
    WEB,
    url="https://shop.example.com",
    page="https://dokploy.example.com/dashboard/project/p/environment/e/services/application/web",
)
API = App(
    id="api0000000000000000ap",
    name="api",
    project="shop",
    environment="staging",
    source=Source(SourceType.GITLAB, repository="acme/platform/api", branch="develop"),
    trigger=Trigger.TAG,
    auto_deploy=True,
)
DOCS = App(
    id="docs000000000000000ap",
    name="docs",
    project="site",
    source=Source(SourceType.DOCKER, image="ghcr.io/acme/docs:1.4"),
    auto_deploy=True,  # no push reaches an image, so nothing deploys twice
)

HOSTILE = (
    "<!channel> <@U0123ABC> <https://evil.example|click> @here *bold `code` ~gone~ _it_ & "
    "\u202egnp.exe\u202c \u200bzero\ufeff \x1b[31mred\x07"
    " z\u0335\u0336\u0337\u0338\u0321algo ``` fence"
)
LONGEST = App(
    id="long000000000000000ap",
    name="a-very-long-name-" * 12,
    project="a project whose name goes on and on " * 6,
    environment="an environment " * 12,
    source=Source(
        SourceType.GITHUB, repository=f"acme/{'long-' * 40}", branch=f"feature/{'deep/' * 40}end"
    ),
)
LOG = """#12 [build 5/6] RUN npm run build
> shop-web@4.2.0 build
> vite build
vite v7.1.2 building for production...
transforming (412) src/pages/checkout.tsx
error during build:
src/pages/checkout.tsx (41:17): "formatPrice" is not exported by "src/money.ts"
39: export function Total({ cart }: Props) {
40:   const total = useTotal(cart)
41:   return <b>{formatPrice(total)}</b>
                 ^
    at getRollupError (node_modules/rollup/dist/es/parseAst.js:406:41)
npm error code ELIFECYCLE, with NPM_TOKEN=npm_0123456789abcdefghijABCDEFGHIJ012345
ERROR: process "/bin/sh -c npm run build" did not complete successfully: exit code: 1
"""


def deployment(
    state: State = State.DONE, app: App = WEB, seq: int = 41, **fields: Any
) -> Deployment:
    """A push to main that has come as far as `state`."""
    began = state in (State.RUNNING, State.VERIFYING, State.DONE, State.UNHEALTHY, State.FAILED)
    ours = state in (State.WAITING, State.HELD)
    over = state in FINAL and state is not State.SUPERSEDED
    facts: dict[str, Any] = {
        "ref": "refs/heads/main",
        "commit": PUSHED,
        "message": "Open the shop on Sundays\n\nThe manager wants it.",
        "author": "Ada Lovelace",
        "backend_id": "dep00000000000000000d" if began else None,
        "started_at": NOON + 4 if began else None,
        "asked_at": None if ours else NOON + 2,
        "finished_at": NOON + 76 if over else None,
        "note": NOTES[state],
        "note_kind": NoteKind.LIVE if state in (State.VERIFYING, *LIVE) else None,
        "deployed_commit": PUSHED if state in (State.VERIFYING, *LIVE) else None,
        "holds": (APPROVAL,) if state is State.HELD else (),
    }
    made = Deployment(
        id=deployment_id(seq, app.id),
        seq=seq,
        delivery="72d3162e-cc78-11e3-81ab-4c9367dc0958",
        app_id=app.id,
        app=app.label,
        action=Action.DEPLOY,
        origin=PUSH,
        state=state,
        created_at=NOON,
    )
    if "trigger" in fields:
        fields["origin"] = Origin.read(fields.pop("trigger"))
    return replace(made, **(facts | fields))


NOTES = {
    State.WAITING: "waits for its turn",
    State.HELD: "held: needs 1 approval of 13dfa1f, has 0",
    State.ASKED: "the backend accepted it",
    State.QUEUED: "waits in the backend's queue",
    State.RUNNING: "builds",
    State.VERIFYING: "commit 13dfa1f is live",
    State.DONE: "commit 13dfa1f is live",
    State.UNHEALTHY: "commit 13dfa1f is live, but GET https://web.example.com/healthz: 502 Bad"
    " Gateway, expected 2xx",
    State.FAILED: 'process "/bin/sh -c npm run build" did not complete successfully: exit code: 1',
    State.CANCELLED: "cancelled by Grace Hopper while it waited",
    State.SUPERSEDED: "deployment 0000000000000042.web0000000000000000ap is newer and builds the"
    " same branch's head",
    State.UNKNOWN: "accepted, outcome unknown: for 120 s the backend has shown neither a waiting"
    " job nor a deployment of it",
}

TIMES = dict(zip(State, (0, 1, 2, 3, 4, 77, 80, 136, 76, 9, 9, 120), strict=True))
"""Seconds after noon."""


def held(*holds: Hold, app: App = WEB, **fields: Any) -> Deployment:
    """A push that these gates hold."""
    note = "held: " + "; ".join(one.says for one in holds)
    return deployment(State.HELD, app, holds=holds, note=note, **fields)


HARD = deployment(
    State.RUNNING,
    LONGEST,
    ref=f"refs/heads/feature/{'deep/' * 60}end",
    message=f"{HOSTILE} {'and so on ' * 300}",
    author=HOSTILE,
    note=HOSTILE * 5,
)


HARD_PROPOSAL = Proposal(
    "a" * 40, f"{HOSTILE} {'and so on ' * 300}", HOSTILE, "b" * 40, 10**9, (HOSTILE,) * 20
)


OF_AN_IMAGE: dict[str, Any] = {
    "ref": None,
    "commit": None,
    "message": None,
    "author": None,
    "trigger": "slack: Grace Hopper",
    "deployed_commit": None,
    "image": "ghcr.io/acme/shop:2.4.0",
}
"""The facts of a deployment of an image, which has no commit."""

HELD_HARD = replace(
    HARD,
    state=State.HELD,
    holds=tuple(
        Hold(
            gate,
            f"{gate}:{HOSTILE}",
            HOSTILE * 20,
            Right.OVERRIDE,
            until=9e14,
            proposal=HARD_PROPOSAL if gate is Gate.APPROVAL else None,
            warns=HOSTILE * 20 if gate is Gate.ORDER else "",
        )
        for gate in [*Gate, *Gate]
    ),
)


# ── what has become of what went live ───────────────────────────────────────────────────────────


def now(one: Deployment, around: Around) -> Around:
    """Return what is around a deployment that is what is served, unless it says otherwise."""
    if one.state not in LIVE or around.fate is not None:
        return around
    return replace(around, fate=Fate(Now.LIVE))


BACK = deployment(
    seq=42,
    action=Action.ROLLBACK,
    trigger=f"rollback: {BRIDGE}",
    deployed_commit=OTHER,
    note=f"{OTHER[:7]} is served again, as it was built then; verified",
    note_kind=NoteKind.AGAIN,
    ref=None,
    commit=None,
    message=None,
    author=None,
)
"""A rollback by the bridge itself."""

KEPT_LOCK = lock_after(BACK, WEB, NOON + 600)


def fates() -> Iterator[tuple[str, Deployment, Around]]:
    """Cards of what was live, and of what is live by a rollback, by their scenes' names."""
    by_itself = f"it goes back to {OTHER[:7]} by itself"
    bad = f"{NOTES[State.UNHEALTHY]}; {by_itself}"
    unhealthy = deployment(State.UNHEALTHY, note=bad, way_back=by_itself)
    hand = Look(NOON + 600, since=NOON + 600, by=By.BACKEND, place="Dokploy")
    gone = Fate(Now.ROLLED_BACK, NOON + 600, BACK, stands=True)
    yield "rolled_back", unhealthy, Around(fate=gone, lock=KEPT_LOCK)
    newer = Fate(Now.REPLACED, NOON + 600, deployment(seq=42, deployed_commit=OTHER))
    yield "replaced", deployment(), Around(fate=newer)
    yield "replaced_by_hand", deployment(), Around(fate=Fate(Now.ELSEWHERE, NOON + 600, look=hand))
    doubt = deployment(State.UNKNOWN, seq=42)
    yield "in_doubt", deployment(), Around(fate=Fate(Now.UNKNOWN, by=doubt))
    yield "live_again", deployment(), Around(fate=Fate(Now.AGAIN, by=BACK), lock=KEPT_LOCK)
    yield "gone_back", BACK, Around(fate=Fate(Now.LIVE), left=PUSHED[:7], lock=KEPT_LOCK)
