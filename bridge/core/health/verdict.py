"""Tell from repeated looks whether a deployment is healthy."""

from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.core.policies import VerifyPolicy


class Health(StrEnum):
    """What the looks at a deployment have shown so far."""

    UNDECIDED = "undecided"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNTOLD = "untold"  # the looks could not show it


@dataclass(frozen=True, slots=True)
class Sighting:
    """One look at a deployment.

    Attributes:
        healthy: None if the look could not show it.
        says: what was asked and what came, for people.
        body: the beginning of an unhealthy answer's body.
    """

    healthy: bool | None
    says: str
    body: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """What all looks together have shown.

    Attributes:
        in_a_row: how many healthy looks the newest ones are.
        looks: how many there were.
        bad: the newest unhealthy look's words; None if there was none.
        body: what was answered with it.
        blind: the newest look's words that showed nothing; None if there was none.
        last: whether the newest look that showed anything was healthy.
    """

    in_a_row: int = 0
    looks: int = 0
    bad: str | None = None
    body: str = ""
    blind: str | None = None
    last: bool | None = None

    def after(self, sighting: Sighting) -> "Tally":
        """Return the tally with one look more."""
        one_more = replace(self, looks=self.looks + 1)
        if sighting.healthy is None:
            return replace(one_more, blind=sighting.says)
        if sighting.healthy:
            return replace(one_more, in_a_row=self.in_a_row + 1, last=True)
        bad, body = sighting.says, sighting.body
        return replace(one_more, in_a_row=0, bad=bad, body=body, last=False)


def judge_health(policy: VerifyPolicy, tally: Tally, seconds: float) -> tuple[Health, str]:
    """Return whether a deployment is healthy after so many seconds of looking, and why.

    It may look on for up to twice `within` while the newest looks are healthy: they only lack their
    number. A look that showed nothing does not count, neither for nor against it.
    """
    if tally.in_a_row >= policy.consecutive:
        return Health.HEALTHY, ""
    if seconds < policy.within or (tally.last and seconds < 2 * policy.within):
        return Health.UNDECIDED, ""
    if tally.last is False and tally.bad is not None:
        return Health.UNHEALTHY, tally.bad
    if tally.last and tally.bad is not None:
        return Health.UNHEALTHY, f"it is healthy only now and then; {tally.bad}"
    return Health.UNTOLD, tally.blind or "it was looked at too seldom"
