"""Gitea and Forgejo, all servers of one's own: their webhooks and their API."""
