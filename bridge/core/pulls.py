"""Pull and merge requests, as their hosts describe them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull or merge request.

    Attributes:
        number: its number within its repository.
        head: the branch it comes from; `head_sha` is that branch's commit.
        open: neither merged nor closed.
        merge_sha: the commit that merged it; None if there is none.
        own: comes from the repository itself, not from a fork.
        base: the branch it is to be merged into.
        author: the login of who opened it; it proves nothing about their rights.
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
