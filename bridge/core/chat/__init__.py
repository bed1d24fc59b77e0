"""Commands and replies, independent of a chat's format."""
