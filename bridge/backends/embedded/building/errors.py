"""Why a build did not work; the message stands in its log and in `errorMessage`."""


class BuildFailed(Exception):
    """The deployment ends in `error`; the message is for people and holds no secrets."""


class MissingTool(BuildFailed):
    """A program that this build needs is not installed."""

    def __init__(self, tool: str, how: str) -> None:
        super().__init__(f"{tool} is not installed here, and this build needs it. {how}")


class TimeLimit(BuildFailed):
    """A step took longer than it may."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"{what} took longer than its limit of {seconds:g} s and was stopped")
