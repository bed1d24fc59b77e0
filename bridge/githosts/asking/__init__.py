"""Asking a Git host's API, whichever it is: requests, answers, and threads that block."""
