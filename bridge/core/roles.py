"""What a process of the bridge does, where several share the work."""

from enum import StrEnum


class Role(StrEnum):
    """What a process does."""

    ALL = "all"
    WEB = "web"
    WORKER = "worker"

    @property
    def hears(self) -> bool:
        """Whether it takes webhooks, and what people say in the chat."""
        return self is not Role.WORKER

    @property
    def works(self) -> bool:
        """Whether it decides, deploys and shows."""
        return self is not Role.WEB
