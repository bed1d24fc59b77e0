"""Showing on a Git host what became of a push: comments, statuses, deployment objects."""
