"""Self-hosted Gitea and Forgejo: webhooks and API."""
