"""Discord: what its webhooks show."""
