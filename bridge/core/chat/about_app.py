"""What a command about an app means for that app, in words that can be typed. Pure."""

from bridge.core.chat.grammar import Command, parse_chat, written
from bridge.core.watch import App


def other_ref(app: App, ref: str) -> str | None:
    """Why a branch that was named can't be deployed; None: it is the app's own."""
    branch = app.source.branch if app.source else None
    if branch is None:
        return f"{app.label} deploys from no branch, so it can't deploy {ref}."
    if ref in (branch, f"refs/heads/{branch}"):
        return None
    return (
        f"{app.label} deploys the head of {branch}, whatever is asked for: the backend builds the"
        f" branch that it has. To deploy {ref}, change its branch with `provider` first."
    )


def command_for(typed: Command, app: App) -> str:
    """The command with that app in it, as it can be typed: by its label, or else by its id."""
    meant = Command(typed.verb, app.label, typed.ref, typed.rest)
    if parse_chat(written(meant)) == meant:
        return written(meant)
    return written(Command(typed.verb, app.id, typed.ref, typed.rest))
