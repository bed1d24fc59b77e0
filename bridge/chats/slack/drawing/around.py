"""Where more is to be seen of a deployment: its site, its backend, its pull request. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.chats.slack.drawing.facts import LONGEST_ADDRESS, Links, joined
from bridge.chats.slack.drawing.mrkdwn import link
from bridge.core.lifecycle import Deployment, State
from bridge.core.watch import App
from bridge.ports.feedback import Story
from bridge.ports.targets import Memory

MOST_PULLS = 3
"""Pull requests that are linked to; a commit seldom belongs to more than one."""

_ADDRESS = re.compile(r"https?://[^\s<>|]+").fullmatch
_COMMENT = re.compile(r"(?:github|gitlab)\.comment \S+ (\d+)").fullmatch


@dataclass(frozen=True, slots=True)
class Around:
    """What a deployment's own record does not tell.

    Attributes:
        pulls: the pull requests that show it, by number.
        before: the commit of its app that was live before.
    """

    pulls: tuple[int, ...] = ()
    before: str | None = None


NOTHING_KNOWN = Around()


def around_of(deployment: Deployment, story: Story) -> Around:
    """Return what a story tells around a deployment."""
    return Around(_pulls_in(story.beside), story.before.get(deployment.id))


def places_of(deployment: Deployment, app: App | None, links: Links, around: Around) -> str:
    """Return links to all that is known; "" where nothing is."""
    if app is None:
        return ""
    changed = links.compare(app, around.before, deployment.deployed_commit or deployment.commit)
    pulls = ((number, links.pull_request(app, number)) for number in around.pulls[:MOST_PULLS])
    return joined(
        _linked(app.url if deployment.state is State.DONE else None, "Site"),
        _linked(_page_of(app) if deployment.asked_at is not None else None, "Dokploy"),
        *(_linked(found[0], f"{found[1]}{number}") for number, found in pulls if found),
        _linked(changed, "What changed"),
    )


def _pulls_in(beside: Mapping[str, Memory]) -> tuple[int, ...]:
    """The pull requests that have a comment about it."""
    found = (_COMMENT(id_) for id_, memory in beside.items() if memory.get("comment"))
    return tuple(sorted({int(one[1]) for one in found if one}))


def _page_of(app: App) -> str | None:
    """The page of an app's deployments in the backend; that of the app where it has no such."""
    page = app.page
    return f"{page}?tab=deployments" if page and "/services/" in page and "?" not in page else page


def _linked(url: str | None, label: str) -> str:
    if url is None or len(url) > LONGEST_ADDRESS or not _ADDRESS(url):
        return ""
    return link(url, label)
