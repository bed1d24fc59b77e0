"""GraphQL of the fake GitLab: a part of GitLab's schema, which each query is held against.

https://docs.gitlab.com/api/graphql/reference/
"""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import FieldNode, Node, Visitor, build_schema, graphql_sync, parse, visit

from tests.fakes.host import FakeRepository

MOST = 250
"""The highest complexity that a query may have."""

_SCHEMA = """
type Query { project(fullPath: ID!): Project }
type Project { repository: Repository }
type Repository { rootRef: String commit(ref: String!): Commit }
type Commit { sha: String! author: UserCore }
type UserCore { id: UserID! username: String! }
scalar UserID
"""
NEW = build_schema(_SCHEMA)
OLD = build_schema(_SCHEMA.replace("commit(ref: String!): Commit", ""))
"""As before GitLab 17.10."""

Projects = Callable[[str], FakeRepository | None]
Linked = Mapping[str, tuple[str, int]]


def answered(said: Mapping[str, Any], projects: Projects, linked: Linked, *, old: bool) -> Any:
    """Return what GitLab says to a query; `linked`: the accounts of addresses."""
    if (cost := cost_of(said["query"])) > MOST:
        why = f"Query has complexity of {cost}, which exceeds max complexity of {MOST}"
        return {"errors": [{"message": why}]}

    def project(_info: object, fullPath: str) -> Any:  # noqa: N803 - as GitLab has it
        found = projects(fullPath)
        return found and {"repository": {"commit": lambda _, ref: commit(found, ref)}}

    def commit(found: FakeRepository, ref: str) -> Any:
        if (made := found.commits.get(ref)) is None:
            return None
        login, number = linked.get(made.author, ("", 0))
        user = {"id": f"gid://gitlab/User/{number}", "username": login}
        return {"sha": made.sha, "author": user if login else None}

    schema = OLD if old else NEW
    done = graphql_sync(schema, said["query"], {"project": project}, None, said.get("variables"))
    return done.formatted


class _Cost(Visitor):
    """Counts fields; one that reads Git counts twice."""

    cost = 0

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        self.cost += 2 if node.name.value == "commit" else 1


def cost_of(query: str) -> int:
    """Return what GitLab calls the complexity of a query."""
    counted, document = _Cost(), parse(query)
    assert isinstance(document, Node)
    visit(document, counted)
    return counted.cost
