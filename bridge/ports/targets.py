"""A place that shows something, and what it is about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Memory = Mapping[str, Any]
"""What a place remembers of itself, JSON: the message's ts, the comment's id, what it shows.

One name has a meaning for all: `LINK`.
"""

LINK = "link"
"""Where in a memory a place's own address for people stands, as a card's permalink. When it
becomes known or another one, what may link to it is raised: all that shows the same deployments
or their deliveries, or a deployment that one of them has superseded (`Story.beside`)."""


@dataclass(frozen=True, slots=True)
class Target:
    """One place that shows something, as a card in a channel, a comment or a status.

    Attributes:
        id: the same for the same place, so wanting it again changes nothing.
        kind: which `Shows` brings it up to date, e.g. "slack.card", "github.comment".
        lane: what shares a rate limit, as a channel or a credential; targets of one lane go one
            at a time, and an answer "too many" makes all of them wait.
        follows: what raises it when it changes: `about_deployment`, `about_delivery`.
        place: where it is, in its adapter's own words; JSON.
        rank: of what is due in a lane the lowest goes first, so that what people look at does
            not wait for what only machines read; but now and then a higher one does
            (`pacing.rank_favoured`), which would wait for ever where there is always a lower.
    """

    id: str
    kind: str
    lane: str
    follows: tuple[str, ...]
    place: Mapping[str, Any]
    rank: int = 0


def about_deployment(id_: str) -> str:
    """Raises what shows one deployment."""
    return f"deployment {id_}"


ABOUT_ANYTHING = "anything"
"""Raises what shows how everything stands."""


def about_change(number: int) -> str:
    """Raises what shows how an app was configured differently."""
    return f"change {number}"


def about_delivery(seq: int) -> str:
    """Raises what shows all that one delivery has led to."""
    return f"delivery {seq}"


def named(keys: Iterable[str], kind: str) -> list[str]:
    """What keys of one kind name: of `deployment 7.web` and kind "deployment" it is `7.web`."""
    words = [key.split(" ", 1) for key in keys]
    return [word[1] for word in words if word[0] == kind]
