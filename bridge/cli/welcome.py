"""What `serve` tells a person at its start: where things are, and what to do next. Pure."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.app.run import Bridge
    from bridge.settings import Settings

ADDRESS = "https://bridge.example.com"


def hosts_of(settings: "Settings") -> list[str]:
    """The hosts that have a secret."""
    github, gitlab = settings.github, settings.gitlab
    served = {
        "github": bool(github.webhook_secrets),
        "gitlab": bool(gitlab.webhook_tokens or gitlab.signing_tokens),
    }
    return [host for host, has_secret in served.items() if has_secret]


def welcome(settings: "Settings", bridge: "Bridge", apps: int, command: str) -> list[str]:
    """Lines for a terminal of 80 columns.

    Args:
        apps: how many are known.
        command: how this program is called from here.
    """
    from bridge.app.whereabouts import whereabouts

    hosts = hosts_of(settings)
    lines = ["", f"The bridge listens on {bridge.url}, data in {whereabouts(settings)}"]
    lines += [f"  webhooks  {bridge.url}/hooks/{host}" for host in hosts]
    if settings.slack.bot_token is not None:
        lines.append(f"  slack     {_heard(settings, bridge)}")
    if bridge.backend_url is None:
        lines.append(f"  deploys   on Dokploy, {settings.dokploy.url}")
    else:
        lines.append(f"  deploys   on the embedded backend, {bridge.backend_url}/api")
        lines.append(f"            its key: {settings.data}/embedded/api-key")
        lines.append(f"  sites     {bridge.sites_url}")
    if apps:
        lines.append(f"  apps      {apps}, see: {command} apps")
    steps = [*_let_a_host_in(settings, bridge, hosts), *_have_apps(bridge, apps, command)]
    if steps:
        lines += ["", "Next:", *(f"  {step}" for step in steps)]
    return [*lines, ""]


def _heard(settings: "Settings", bridge: "Bridge") -> str:
    """How Slack reaches the bridge."""
    slack = settings.slack
    ways = [f"{bridge.url}/slack/events"] if slack.signing_secret else []
    ways += ["Socket Mode"] if slack.app_token else []
    return " and ".join(ways) or "cards only; set a signing secret or an app token to hear commands"


def _let_a_host_in(settings: "Settings", bridge: "Bridge", hosts: list[str]) -> list[str]:
    if hosts:
        return []
    steps = [
        "Let a Git host in: choose a secret, and start again with it in the environment",
        "    export BRIDGE_GITHUB_WEBHOOK_SECRETS=…  # `openssl rand -hex 32` makes one",
        "    export BRIDGE_GITLAB_WEBHOOK_TOKENS=…   # the same for GitLab",
        "  Then add a webhook with that secret to your repository there:",
        f"    {ADDRESS}/hooks/github   as application/json",
        f"    {ADDRESS}/hooks/gitlab",
        "  of pushes, tags, and pull or merge requests.",
        f"  {ADDRESS} stands for what leads to {bridge.url}",
    ]
    if settings.host == "127.0.0.1":
        steps.append("  from there; in a container listen on all addresses: --host 0.0.0.0")
    return steps


def _have_apps(bridge: "Bridge", apps: int, command: str) -> list[str]:
    if bridge.backend_url is None or apps:
        return []
    return [
        "Have something to deploy: your Dokploy's apps,",
        "    export BRIDGE_DOKPLOY_URL=https://dokploy.example.com",
        "    export BRIDGE_DOKPLOY_API_KEY=…  # there: Settings, Profile, API/CLI Keys",
        "  or a static site on the embedded backend, while this runs:",
        f"    {command} app create web --repo ADDRESS --publish FOLDER",
    ]
