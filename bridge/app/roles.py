"""The roles of processes that share the work."""

from enum import StrEnum


class Role(StrEnum):
    """The role of a process."""

    ALL = "all"
    WEB = "web"
    WORKER = "worker"

    @property
    def hears(self) -> bool:
        """Whether it accepts webhooks and chat requests."""
        return self is not Role.WORKER

    @property
    def works(self) -> bool:
        """Whether it decides, deploys and publishes."""
        return self is not Role.WEB
