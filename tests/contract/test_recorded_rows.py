"""Which stored fields of a source each endpoint writes, held against recorded rows.

Between two recorded `application.one` of one application stand the calls that changed it. What
the table says of those calls must lead from the first row to the second, field by field.
"""

from collections.abc import Iterator
from typing import Any

from bridge.core.configuration.configuration import (
    FORGETS,
    SourceRow,
    columns_of,
    fields_of,
    forgotten,
    row_in,
    row_of,
)
from bridge.core.configuration.fields import COLUMNS
from tests.oracles.dokploy_recordings import recording

UNRECORDED = {"250-application.one-after-gitea": "a save with null for its owner came in between"}

WRITES = {
    "application.saveGithubProvider": {"sourceType": "github", "triggerType": "push"},
    "application.saveGitlabProvider": {"sourceType": "gitlab"},
    "application.saveGiteaProvider": {"sourceType": "gitea"},
    "application.saveBitbucketProvider": {"sourceType": "bitbucket"},
    "application.saveGitProvider": {"sourceType": "git"},
    "application.saveDockerProvider": {"sourceType": "docker"},
    "application.update": {},
    "application.disconnectGitProvider": columns_of(FORGETS),
}
"""What each endpoint writes besides the columns that its body names; it leaves all others."""


def rows() -> list[dict[str, Any]]:
    # The first recording is sorted by name: it does not say what came after what.
    found = recording("recorded-2")
    return [row for row in found if row.get("response", {}).get("status") == 200]


def steps() -> Iterator[tuple[str, SourceRow, list[tuple[str, dict[str, Any]]], SourceRow]]:
    """Each recorded row of an application with the one before it and the calls in between."""
    known: dict[str, SourceRow] = {}
    calls: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for row in rows():
        procedure, _, query = row["request"]["url"].removeprefix("/api/").partition("?")
        if procedure in WRITES:
            body = row["request"]["body"]
            calls.setdefault(body["applicationId"], []).append((procedure, body))
        elif procedure == "application.one":
            id_ = query.removeprefix("applicationId=")
            now = row_in(row["response"]["json"])
            between = calls.pop(id_, [])
            if id_ in known and between and row["name"] not in UNRECORDED:
                yield row["name"], known[id_], between, now
            known[id_] = now


def after(row: SourceRow, procedure: str, body: dict[str, Any]) -> SourceRow:
    """The row once a call was answered with 200."""
    written = WRITES[procedure] | body
    fields = {ours: written[theirs] for ours, theirs in COLUMNS.items() if theirs in written}
    return row_of(fields_of(row) | fields)


def test_each_call_writes_the_fields_of_the_table_and_no_others() -> None:
    recorded = set()
    for name, before, calls, now in steps():
        foretold = before
        for procedure, body in calls:
            recorded.add(procedure)
            foretold = after(foretold, procedure, body)
        assert columns_of(fields_of(foretold)) == columns_of(fields_of(now)), name

    assert {
        "application.saveGiteaProvider",
        "application.saveBitbucketProvider",
        "application.saveDockerProvider",
        "application.disconnectGitProvider",
        "application.update",
    } <= recorded
    row = row_of(dict.fromkeys(COLUMNS))
    assert forgotten(row, build_paths=True) == after(row, "application.disconnectGitProvider", {})
