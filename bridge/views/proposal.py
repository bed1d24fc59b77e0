"""What an approval would be for, free of any chat's markup: what is approved is what is shown."""

from dataclasses import dataclass

from bridge.core.apps import App
from bridge.core.holds import Proposal, proposal_in
from bridge.core.lifecycle import Deployment, State
from bridge.views.deployments import COMMIT, FIRST_LINE, PERSON, first_line
from bridge.views.links import Links
from bridge.views.values import Text

PATH = 80

MOST_SHOWN = 5
"""Changed files that are shown in one line."""


NOTHING_YET = "nothing is live yet"
UNKNOWN = "what is live is not known, so its changes can't be listed"


@dataclass(frozen=True, slots=True)
class Proposed:
    """A commit that somebody may approve, and what it brings.

    Attributes:
        commit, live: short ids; `live` is what the app serves, None if that is not known, or if it
            serves nothing yet.
        unlisted: why no changes are listed, in words; "" if they are.
        page: the commit's page; compare: the page that shows what differs from `live`.
        count: how many files of the app differ, in words.
        shown: the first of them, for one line; unshown: how many more there are.
    """

    commit: Text
    page: str | None
    says: Text
    author: Text
    live: Text | None
    compare: str | None
    count: str
    shown: tuple[Text, ...]
    unshown: int
    unlisted: str


def proposed_of(proposal: Proposal, app: App | None, links: Links) -> Proposed:
    """Return a proposal with its pages; texts of people are still to be escaped."""
    live = proposal.live
    shown = tuple(Text(one, PATH) for one in proposal.files[:MOST_SHOWN])
    return Proposed(
        Text(proposal.commit[:7], COMMIT),
        links.commit(app, proposal.commit),
        Text(first_line(proposal.message), FIRST_LINE),
        Text(proposal.author, PERSON),
        Text(live[:7], COMMIT) if live else None,
        links.compare(app, live, proposal.commit),
        proposal.count,
        shown,
        proposal.beyond(len(shown)),
        "" if live else NOTHING_YET if proposal.since == 0 else UNKNOWN,
    )


def proposal_of(deployment: Deployment) -> Proposal | None:
    """Return what somebody would approve; None unless the deployment waits for that."""
    return proposal_in(deployment.holds) if deployment.state is State.HELD else None
