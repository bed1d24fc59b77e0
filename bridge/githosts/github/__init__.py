"""GitHub, github.com and GitHub Enterprise Server: its webhooks and its API."""
