"""Messages that are kept up to date: cards, pull requests, locks, changes, and comments."""
