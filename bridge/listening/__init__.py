"""Listeners of HTTP: limits for their connections, and logs that nobody can flood or read along.

The bridge's own listener and those of the embedded backend share it.
"""
