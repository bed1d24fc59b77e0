"""Discord, written to by webhooks."""
