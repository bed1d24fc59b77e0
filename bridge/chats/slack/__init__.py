"""Slack: its door, and what it shows."""
