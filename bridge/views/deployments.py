"""What is said about deployments."""

from bridge.core.holds import proposal_in
from bridge.core.lifecycle import Deployment, State
from bridge.views.view import Code, Item, Phrase, Strong, Text, Value

APP, REF, COMMIT, IMAGE, MESSAGE = 200, 100, 20, 80, 40
"""Characters of an app's name, a branch, a short commit, an image and a message's first line."""


def item_of(deployment: Deployment) -> Item:
    """Return a deployment in a list: its app, its branch or tag, and what it brings."""
    return Item(about(deployment), deployment.state)


def about(deployment: Deployment, is_: str = "") -> Phrase:
    """Return its app, its branch or tag, and what it brings; `is_`: said of the app."""
    what: list[Phrase] = [(Strong(Text(deployment.app, APP)), is_)]
    if ref := deployment.ref:
        name = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
        what.append((Code(Text(name, REF)),))
    commit, message = version_of(deployment)
    if commit and (first := first_line(message)):
        what.append((Code(Text(commit[:7], COMMIT)), " ", Text(first, MESSAGE)))
    elif commit:
        what.append((Code(Text(commit[:7], COMMIT)),))
    elif deployment.shown_image:
        what.append((Code(Text(deployment.shown_image, IMAGE)),))
    return joined(what)


def joined(phrases: list[Phrase]) -> Phrase:
    """Return phrases as one, with dots between them."""
    pieces: list[str | Value] = []
    for phrase in phrases:
        pieces += ["  ·  ", *phrase] if pieces else phrase
    return tuple(pieces)


def version_of(deployment: Deployment) -> tuple[str | None, str | None]:
    """Return the commit and message of what is live, would be approved, or was pushed."""
    proposal = proposal_in(deployment.holds) if deployment.state is State.HELD else None
    if proposal is not None:
        return proposal.commit, proposal.message
    return deployment.deployed_commit or deployment.commit, deployment.message


def first_line(message: str | None) -> str:
    """Return the first non-empty line of a commit's message."""
    return next((line for line in (message or "").splitlines() if line.strip()), "").strip()
