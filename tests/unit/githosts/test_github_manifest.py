"""The GitHub App may do what the bridge calls, and nothing else."""

from bridge.githosts.github.access import github_manifest
from tests.oracles.host_contracts import operations

R = "/repos/{owner}/{repo}"
AS_THE_APP, WITH_A_TOKEN_ONLY = "as the App itself", "with a token only"

ONLY_TO_PIN = "contents: write, which people grant who pin apps"
NEEDS = {
    ("GET", "/app"): AS_THE_APP,
    ("GET", "/apps/{app_slug}"): "metadata: read",  # which every App has
    ("GET", "/app/hook/config"): AS_THE_APP,
    ("GET", "/app/hook/deliveries"): AS_THE_APP,
    ("GET", "/app/hook/deliveries/{delivery_id}"): AS_THE_APP,
    ("POST", "/app/hook/deliveries/{delivery_id}/attempts"): AS_THE_APP,
    ("POST", "/app/installations/{installation_id}/access_tokens"): AS_THE_APP,
    ("GET", f"{R}/installation"): AS_THE_APP,
    ("GET", "/user"): WITH_A_TOKEN_ONLY,
    ("GET", "/orgs/{org}/hooks"): WITH_A_TOKEN_ONLY,
    ("GET", "/orgs/{org}/hooks/{hook_id}/deliveries"): WITH_A_TOKEN_ONLY,
    ("GET", "/orgs/{org}/hooks/{hook_id}/deliveries/{delivery_id}"): WITH_A_TOKEN_ONLY,
    ("POST", "/orgs/{org}/hooks/{hook_id}/deliveries/{delivery_id}/attempts"): WITH_A_TOKEN_ONLY,
    # Left out where it is refused: an App has a webhook of its own.
    ("GET", f"{R}/hooks"): WITH_A_TOKEN_ONLY,
    ("GET", f"{R}/hooks/{{hook_id}}/deliveries"): WITH_A_TOKEN_ONLY,
    ("GET", f"{R}/hooks/{{hook_id}}/deliveries/{{delivery_id}}"): WITH_A_TOKEN_ONLY,
    ("POST", f"{R}/hooks/{{hook_id}}/deliveries/{{delivery_id}}/attempts"): WITH_A_TOKEN_ONLY,
    # An App may see and change only its own webhook.
    ("PATCH", "/app/hook/config"): AS_THE_APP,
    ("GET", "/orgs/{org}"): WITH_A_TOKEN_ONLY,
    ("POST", "/orgs/{org}/hooks"): WITH_A_TOKEN_ONLY,
    ("PATCH", "/orgs/{org}/hooks/{hook_id}"): WITH_A_TOKEN_ONLY,
    ("DELETE", "/orgs/{org}/hooks/{hook_id}"): WITH_A_TOKEN_ONLY,
    ("POST", "/orgs/{org}/hooks/{hook_id}/pings"): WITH_A_TOKEN_ONLY,
    ("POST", f"{R}/hooks"): WITH_A_TOKEN_ONLY,
    ("PATCH", f"{R}/hooks/{{hook_id}}"): WITH_A_TOKEN_ONLY,
    ("DELETE", f"{R}/hooks/{{hook_id}}"): WITH_A_TOKEN_ONLY,
    ("POST", f"{R}/hooks/{{hook_id}}/pings"): WITH_A_TOKEN_ONLY,
    ("GET", "/users/{username}"): "metadata: read",
    ("GET", R): "metadata: read",
    ("GET", f"{R}/branches/{{branch}}"): "contents: read",
    ("GET", f"{R}/commits/{{ref}}"): "contents: read",
    ("GET", f"{R}/commits/{{ref}}/check-runs"): "checks: read",
    ("GET", f"{R}/commits/{{ref}}/status"): "statuses: write",
    ("GET", f"{R}/commits/{{ref}}/statuses"): "statuses: write",
    ("GET", f"{R}/rules/branches/{{branch}}"): "metadata: read",
    ("GET", f"{R}/compare/{{basehead}}"): "contents: read",
    ("GET", f"{R}/git/trees/{{tree_sha}}"): "contents: read",
    ("GET", f"{R}/tags"): "metadata: read",
    ("POST", f"{R}/git/refs"): ONLY_TO_PIN,
    ("PATCH", f"{R}/git/refs/{{ref}}"): ONLY_TO_PIN,
    ("DELETE", f"{R}/git/refs/{{ref}}"): ONLY_TO_PIN,
    ("GET", f"{R}/commits/{{commit_sha}}/pulls"): "pull_requests: write",
    ("GET", f"{R}/pulls"): "pull_requests: write",
    ("GET", f"{R}/pulls/{{pull_number}}"): "pull_requests: write",
    ("GET", f"{R}/pulls/{{pull_number}}/files"): "pull_requests: write",
    ("GET", f"{R}/collaborators/{{username}}/permission"): "metadata: read",
    ("GET", f"{R}/issues/{{issue_number}}/comments"): "pull_requests: write",
    ("POST", f"{R}/issues/{{issue_number}}/comments"): "pull_requests: write",
    ("PATCH", f"{R}/issues/comments/{{comment_id}}"): "pull_requests: write",
    ("POST", f"{R}/statuses/{{sha}}"): "statuses: write",
    ("GET", f"{R}/deployments"): "deployments: write",
    ("POST", f"{R}/deployments"): "deployments: write",
    ("POST", f"{R}/deployments/{{deployment_id}}/statuses"): "deployments: write",
}
"""What each call needs, after docs.github.com ("Permissions required for GitHub Apps")."""


def test_it_is_known_of_every_call_what_it_needs() -> None:
    assert NEEDS.keys() == operations("github")


def test_the_app_asks_for_the_least_that_its_calls_need() -> None:
    asked = github_manifest("https://bridge.example.com")["default_permissions"]

    needed = set(NEEDS.values()) - {AS_THE_APP, WITH_A_TOKEN_ONLY, ONLY_TO_PIN}
    assert {f"{name}: {level}" for name, level in asked.items()} == needed
