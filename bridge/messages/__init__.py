"""Messages that are kept up to date in chats: cards, pull requests, locks, changes."""
