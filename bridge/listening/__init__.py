"""HTTP listeners: limits for their connections, and logs that nobody can flood or read.

The bridge's own listener and those of the embedded backend share it.
"""
