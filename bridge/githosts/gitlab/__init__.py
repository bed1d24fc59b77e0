"""GitLab, GitLab.com and self-managed: its webhooks and its API."""
