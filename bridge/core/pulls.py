"""Pull and merge requests, as their hosts describe them."""

from dataclasses import dataclass

LONGEST_TITLE = 300
"""Characters of a title; hosts permit 256 at most."""

LONGEST_LOGIN = 200


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull or merge request.

    Attributes:
        head: the branch it comes from; `head_sha` is that branch's commit, "" if the host does
            not say.
        open: neither merged nor closed.
        merge_sha: the commit that merged it; None if there is none, or the host does not say.
        own: comes from the repository itself, not from a fork.
        title: a longer one than `LONGEST_TITLE` is cut.
        author: the login of who opened it, as `TellsWriters.may_write` takes it; it proves nothing
            about their rights. GitLab's webhooks have only an account's number, "id:42", unless
            the author has caused them. "" if the account is deleted.
        labels: by name, as the host writes them.
        url: its page for people; None if the host does not say.
        updated_at: when anything about it last changed, in seconds since 1970 by the host's clock;
            None if the host does not say.
    """

    number: int
    head: str
    head_sha: str
    open: bool
    merge_sha: str | None = None
    own: bool = True
    base: str = ""
    title: str = ""
    author: str = ""
    draft: bool = False
    labels: frozenset[str] = frozenset()
    url: str | None = None
    updated_at: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", _cut(self.title, LONGEST_TITLE))
        object.__setattr__(self, "author", _cut(self.author, LONGEST_LOGIN))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
