"""Slack's Web API, and what is asked or told there."""
