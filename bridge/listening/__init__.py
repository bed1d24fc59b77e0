"""HTTP listeners: connection limits, and logs that can't be flooded and contain no secrets.

The bridge's own listener and those of the embedded backend share this code.
"""
