"""Slack: its requests, and its cards."""
