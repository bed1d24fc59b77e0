"""What settings mean to the core: its own policy, rules and rights."""

from bridge.core import access
from bridge.core.access import Access
from bridge.core.decision import Policy
from bridge.core.rules import RuleBook
from bridge.core.watch import Rules
from bridge.settings.root import Settings


def policy_of(settings: Settings) -> Policy:
    """How watch paths and skip directives are read."""
    return Policy(**settings.watch.model_dump())


def book_of(settings: Settings) -> RuleBook:
    """Our own rules for apps."""
    return [
        (rule.apps, Rules(**rule.model_dump(exclude={"apps", "channels"})))
        for rule in settings.rules
    ]


def channels_of(settings: Settings) -> list[tuple[str, tuple[str, ...]]]:
    """The channels that rules name for apps."""
    return [(rule.apps, rule.channels) for rule in settings.rules if rule.channels is not None]


def access_of(settings: Settings) -> Access:
    """Who may do what by chat."""
    return Access(
        [
            access.Grant(grant.who, frozenset(grant.may), grant.apps, grant.channels)
            for grant in settings.access
        ]
    )
