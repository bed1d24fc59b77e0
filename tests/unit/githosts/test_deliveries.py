"""Whole deliveries beside their meaning, see tests/fixtures/*/SOURCES.md."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from multidict import CIMultiDict

from bridge.core.errors import BadSignature
from bridge.githosts import HOSTS
from bridge.githosts.gitlab.webhooks import GitLab
from tests.worlds.hosts import webhooks_of
from tests.worlds.rows import each_row

FIXTURES = Path(__file__).parents[2] / "fixtures"
SECRET = "It's a Secret to Everybody"
SIGNING_TOKEN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNED_AT = 1767225600


def names():
    return [
        f"{host}/{path.stem}" for host in HOSTS for path in sorted((FIXTURES / host).glob("*.http"))
    ]


def load(name):
    head, _, body = (FIXTURES / f"{name}.http").read_bytes().partition(b"\n\n")
    lines = head.decode().splitlines()[1:]
    headers = CIMultiDict(
        (name, value) for name, _, value in (line.partition(": ") for line in lines)
    )
    return headers, body


def host_of(name):
    if name == "gitlab/push__signed":
        return GitLab([], [SIGNING_TOKEN])
    return webhooks_of(name.partition("/")[0], SECRET)


def read(name):
    headers, body = load(name)
    host = host_of(name)
    envelope = host.open(headers, SIGNED_AT)
    host.verify(envelope, body)
    return host.parse(envelope.event, envelope.headers, body)


def plain(event):
    found = {"is": type(event).__name__, **asdict(event)}
    if "repository" in found:
        found["repository"]["urls"] = sorted(event.repository.urls)
    if "pull" in found:
        found["pull"]["labels"] = sorted(event.pull.labels)
    if "ref" in found:
        found["ref"] = str(event.ref)
        # Only reconciliation says so.
        assert not found.pop("found")
        assert not found.pop("several")
        assert not (found["commit"] or {}).pop("parents", ())
    return json.loads(json.dumps(found))


@each_row("name", names())
def test_a_delivery_means_what_its_neighbour_says(name):
    assert plain(read(name)) == json.loads((FIXTURES / f"{name}.json").read_text("utf-8"))


@each_row("name", names())
def test_another_secret_is_refused_and_a_changed_body_where_it_is_signed(name):
    headers, body = load(name)
    other = webhooks_of(name.partition("/")[0], "another secret")
    if name == "gitlab/push__signed":
        other = GitLab([], ["whsec_" + "A" * 32])
    tries = [(other, body)]
    if name == "gitlab/push__signed" or not name.startswith("gitlab/"):
        tries.append((host_of(name), body + b" "))

    def check(host, sent):
        host.verify(host.open(headers, SIGNED_AT), sent)

    for host, sent in tries:
        with pytest.raises(BadSignature):
            check(host, sent)


def test_every_host_shows_a_push_a_tag_and_a_deletion():
    shown = set()
    for name in names():
        event = plain(read(name))
        if event["is"] == "RefPushed":
            shown.add((name.partition("/")[0], event["ref"].split("/")[1], event["deleted"]))

    for host in HOSTS:
        assert {(host, "heads", False), (host, "tags", False), (host, "heads", True)} <= shown


def test_every_delivery_is_explained_and_its_source_named():
    for name in names():
        sources = (FIXTURES / name.partition("/")[0] / "SOURCES.md").read_text("utf-8")
        assert f"| {name.partition('/')[2]} |" in sources
