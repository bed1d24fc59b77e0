"""An app of its own for each pull request: make it, keep it in line, and remove it."""
