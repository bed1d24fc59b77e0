"""Examples for each command's `--help`: what people do with it most, to be copied."""

from collections.abc import Iterator
from typing import Any

EXAMPLES: dict[str, tuple[str, ...]] = {
    "serve": (
        "dokploy-bridge serve",
        "dokploy-bridge serve --host 0.0.0.0 --port 8080 --config /etc/bridge.yaml",
    ),
    "migrate": ("dokploy-bridge migrate",),
    "demo": ("dokploy-bridge demo",),
    "backend": ("dokploy-bridge backend --host 127.0.0.1 --port 8090",),
    "apps": (
        "dokploy-bridge apps",
        "dokploy-bridge apps shop web",
        "dokploy-bridge apps my-org/mono --json",
    ),
    "app create": (
        "dokploy-bridge app create web --repo https://github.com/you/site.git --publish public",
        "dokploy-bridge app create web --repo ../site --project shop --watch 'web/**'",
    ),
    "app delete": ("dokploy-bridge app delete shop/web",),
    "deliveries": (
        "dokploy-bridge deliveries --refused",
        "dokploy-bridge deliveries --failed --since 2h",
        "dokploy-bridge deliveries --repo my-org/mono --limit 50",
        "dokploy-bridge deliveries --app shop/web --json",
    ),
    "deliveries show": (
        "dokploy-bridge deliveries show 72d3162e",
        "dokploy-bridge deliveries show 72d3162e --body > push.json",
    ),
    "deployments": (
        "dokploy-bridge deployments",
        "dokploy-bridge deployments --app shop/web --limit 5",
    ),
    "deployments show": ("dokploy-bridge deployments show 4711",),
    "feedback": ("dokploy-bridge feedback --failing",),
    "feedback retry": (
        "dokploy-bridge feedback retry 'github.comment 4711 12'",
        "dokploy-bridge feedback retry --all",
    ),
    "audit": ("dokploy-bridge audit --app shop/web",),
    "why": (
        "dokploy-bridge why shop/web",
        "dokploy-bridge why shop/web 18f234f",
        "dokploy-bridge why web --json",
    ),
    "explain": (
        "dokploy-bridge explain push.json",
        "dokploy-bridge explain push.json --app shop/web --watch-path 'web/**'",
    ),
    "logs": (
        "dokploy-bridge logs shop/web --follow",
        "dokploy-bridge logs shop/web --deployment 4711 --lines 1000",
    ),
    "deploy": ("dokploy-bridge deploy shop/web --follow",),
    "redeploy": ("dokploy-bridge redeploy shop/web --follow",),
    "cancel": ("dokploy-bridge cancel shop/web",),
    "replay": ("dokploy-bridge replay 72d3162e --follow",),
    "clear": ("dokploy-bridge clear shop/web",),
    "manifest github": (
        "dokploy-bridge manifest github --url https://bridge.example.com --link",
        "dokploy-bridge manifest github --url https://bridge.example.com --org my-org",
    ),
    "manifest slack": (
        "dokploy-bridge manifest slack --url https://bridge.example.com",
        "dokploy-bridge manifest slack --socket",
    ),
    "provider show": ("dokploy-bridge provider show shop/web",),
    "provider set github": (
        "dokploy-bridge provider set github shop/web --branch release",
        "dokploy-bridge provider set github shop/web --trigger tag --versions '>=1.2 <2'",
    ),
    "provider set gitlab": ("dokploy-bridge provider set gitlab shop/web --branch release",),
    "provider set git": (
        "dokploy-bridge provider set git shop/web --url https://git.example.com/web.git",
    ),
    "provider set docker": (
        "dokploy-bridge provider set docker shop/web --image nginx:1.27",
        "dokploy-bridge provider set docker shop/web --username ada --password",
    ),
    "provider disconnect": ("dokploy-bridge provider disconnect shop/web",),
    "provider undo": ("dokploy-bridge provider undo shop/web",),
    "provider accounts": ("dokploy-bridge provider accounts",),
    "build show": ("dokploy-bridge build show shop/web",),
    "build set": (
        "dokploy-bridge build set shop/web --type dockerfile --dockerfile docker/Dockerfile",
    ),
    "env show": ("dokploy-bridge env show shop/web",),
    "env set": (
        "dokploy-bridge env set shop/web LOG_LEVEL=debug",
        "dokploy-bridge env set shop/web API_TOKEN --unset OLD_TOKEN",
    ),
    "env import": ("dokploy-bridge env import shop/web .env",),
    "config check": ("dokploy-bridge config check --online",),
    "config show": ("dokploy-bridge config show --json",),
    "config schema": ("dokploy-bridge config schema > bridge.schema.json",),
}
"""By the words of the command."""


def commands(command: Any, *words: str) -> Iterator[tuple[str, Any]]:
    """Every command below one that does something by itself, by its words."""
    inner = getattr(command, "commands", {})
    if words and (not inner or command.invoke_without_command):
        yield " ".join(words), command
    for name, one in inner.items():
        yield from commands(one, *words, name)


def with_examples(root: Any) -> None:
    """Have the help of each command end with its examples."""
    for words, command in commands(root):
        if examples := EXAMPLES.get(words):
            command.epilog = "\n".join(["Examples:", *examples])
