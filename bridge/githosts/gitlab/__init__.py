"""GitLab, GitLab.com and servers of one's own: its webhooks and its API."""
