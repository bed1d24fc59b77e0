"""What arrives, and what is decided: pushes, commands, and what webhooks did not bring."""
