"""The kinds of deployments that a freeze may exempt."""

from enum import StrEnum


class Allowed(StrEnum):
    """The kinds of deployments that a freeze can let through."""

    PUSH = "push"
    MANUAL = "manual"
    REDEPLOY = "redeploy"
    ROLLBACK = "rollback"


EXCEPTIONS = (Allowed.MANUAL, Allowed.REDEPLOY, Allowed.ROLLBACK)
"""The values of `allow`. Pushes are not among them: they are what a freeze is for."""
