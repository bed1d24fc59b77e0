"""The commits that a push lists; GitHub and GitLab describe them alike."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from bridge.core.events import Commit
from bridge.githosts.models import Model, web_url
from bridge.githosts.receiving.payload import Sha, let_others_go_on

# fail fast: one error for each of a million bad entries would need gigabytes
Paths = Annotated[list[str], Field(fail_fast=True)]


class Author(Model):
    """Who wrote a commit."""

    name: str | None = None
    username: str | None = None
    email: str | None = None


class ListedCommit(Model):
    """One commit of a push, and the files that it touched where the host says so."""

    id: Sha
    message: str | None = None
    url: str | None = None
    author: Author | None = None
    added: Paths | None = None
    removed: Paths | None = None
    modified: Paths | None = None

    def files(self) -> list[str] | None:
        """Every file that it touched; None where a list is missing."""
        if self.added is None or self.removed is None or self.modified is None:
            return None
        return [*self.added, *self.removed, *self.modified]

    def meaning(self, sha: str) -> Commit:
        """The commit `sha` with what is told here; the link only when it is that commit's."""
        author = self.author or Author()
        return Commit(
            sha=sha,
            message=self.message or "",
            author=author.name or author.username or "",
            url=web_url(self.url) if sha == self.id else None,
            email=(author.email or "") if sha == self.id else "",
        )


Commits = Annotated[
    list[Annotated[ListedCommit, AfterValidator(let_others_go_on)]], Field(fail_fast=True)
]


def find(commits: Sequence[ListedCommit], sha: str) -> ListedCommit | None:
    """The listed commit with that id; heads come last, so the search starts there."""
    return next((commit for commit in reversed(commits) if commit.id == sha), None)


def union(files: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Every file once, sorted.

    Kept in their order until then, since hosts list the files of a commit sorted: sorting what
    a set has shuffled takes fifteen times as long, in which no other thread goes on.
    """
    found: dict[str, None] = {}
    for some in files:  # one by one, for the same reason
        found.update(dict.fromkeys(some))
    return tuple(sorted(found))
