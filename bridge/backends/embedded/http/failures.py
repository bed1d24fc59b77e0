"""What a procedure answers when it says no; the API turns it into the server's error body."""

from http import HTTPStatus


class Failure(Exception):
    """A refusal in the real server's words.

    Attributes:
        code: e.g. "NOT_FOUND"; `HTTPStatus` has a member of the same name.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status, e.g. 404."""
        return int(HTTPStatus[self.code])


def not_found(what: str) -> Failure:
    """E.g. `not_found("Application")`: the words of the real server (facts.md, "Errors")."""
    return Failure("NOT_FOUND", f"{what} not found")


def bad_request(message: str) -> Failure:
    """The request is understood and can't be done now."""
    return Failure("BAD_REQUEST", message)
