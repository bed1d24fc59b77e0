"""Exit codes: what a script may rely on."""

from bridge.core.errors import BridgeError, NotFound, Rejected

ENDED_BADLY = 3
EXIT_CODES = {
    0: "all is well",
    1: "it could not be done",
    2: "wrong usage, settings or input",
    ENDED_BADLY: "a followed deployment did not end well",
    4: "there is nothing by that name",
    130: "interrupted",
}

_CODES: dict[type[BridgeError], int] = {NotFound: 4, Rejected: 2, BridgeError: 1}


def exit_code_of(error: BridgeError) -> int:
    """The exit code for an error; the first class that fits decides."""
    return next(code for kind, code in _CODES.items() if isinstance(error, kind))
