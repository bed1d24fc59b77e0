"""Where a webhook leads, told by its address alone."""

from typing import Any

from bridge.githosts.base.checks import Aim, Events, HookCheck
from bridge.ports.checks import Checked
from bridge.ports.githosts import Hook
from tests.worlds.rows import each_row

ROOT, BELOW = "https://bridge.example.com", "https://example.com:8443/bridge/"
BACKEND = "https://dokploy.example.com"


@each_row(
    ("public_url", "url", "aim"),
    [
        (ROOT, "https://bridge.example.com/hooks/github", Aim.HERE),
        (ROOT, "https://Bridge.Example.com:443/hooks/github?x=1", Aim.HERE),
        (f"{ROOT}/", "https://bridge.example.com/hooks/github", Aim.HERE),
        (ROOT, "http://bridge.example.com/hooks/github", Aim.IN_CLEAR),
        (ROOT, "https://bridge.example.com/hooks/gitlab", Aim.ASTRAY),
        (ROOT, "https://bridge.example.com/hooks/github/", Aim.ASTRAY),
        (ROOT, "https://bridge.example.com/webhook", Aim.ASTRAY),
        (ROOT, "https://bridge.example.com:8443/hooks/github", Aim.ELSEWHERE),
        (ROOT, "https://ci.example.com/hooks/github", Aim.ELSEWHERE),
        (ROOT, "https://dokploy.example.com/api/deploy/github", Aim.BACKEND),
        (BACKEND, "https://dokploy.example.com/api/deploy/github", Aim.BACKEND),
        (BACKEND, "https://dokploy.example.com/hooks/github", Aim.HERE),
        (BELOW, "https://example.com:8443/bridge/hooks/github", Aim.HERE),
        (BELOW, "https://example.com:8443/bridge/webhook", Aim.ASTRAY),
        (BELOW, "https://example.com:8443/jenkins/", Aim.ELSEWHERE),
        (BELOW, "https://example.com:8443/hooks/github", Aim.ELSEWHERE),
        (None, "https://anything.example.com/hooks/github", Aim.HERE),
        (None, "https://anything.example.com/other", Aim.ELSEWHERE),
        (ROOT, "https://[broken/hooks/github", Aim.ELSEWHERE),
        (ROOT, "https://bridge.example.com:port/hooks/github", Aim.ELSEWHERE),
        (ROOT, "mailto:bridge@example.com", Aim.ELSEWHERE),
        (ROOT, "", Aim.ELSEWHERE),
        (ROOT, None, Aim.ELSEWHERE),
    ],
)
def test_where_a_webhook_leads(public_url: str | None, url: str | None, aim: Aim) -> None:
    nothing: Any = None
    checked = Checked("github", nothing, public_url, backends=[BACKEND])
    check = HookCheck(checked, nothing, "GitHub", Events("push", {}), "", nothing)

    assert check.aim(Hook("repos/o/r", "1", url)) is aim
