"""How often a deployment is looked at, and how long it is waited for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look, and how long to wait; all in seconds.

    Attributes:
        look, look_at_most: between two looks at a running deployment; it grows in between.
        adopt: how long to look for a deployment that may have been asked for already,
            since a backend may list it late.
        settle: how long after the end to wait for the deployed commit, which comes later.
        lost: how long the backend may show neither job nor record of an accepted deployment,
            where it can have lost it.
        untold: the same where nothing explains that, or where it does not list its queue.
        unclosed: how long it may show an open record while it works on nothing of the app.
        long: how long a build may take before that is said.
        retry, retry_at_most: between two tries while the backend is away; it grows.
        failures: how often a fault of our own is tried again before its outcome is unknown.
    """

    look: float = 0.25
    look_at_most: float = 2.0
    adopt: float = 10.0
    settle: float = 1.5
    lost: float = 10.0
    untold: float = 120.0
    unclosed: float = 30.0
    long: float = 3600.0
    retry: float = 1.0
    retry_at_most: float = 30.0
    failures: int = 5
