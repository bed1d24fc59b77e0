"""The doors between the journey and the world: small Protocols and the records that pass them.

Adapters implement these; the journey knows nothing else of them. What only some
adapters can do is a capability of its own (`Configures`).
"""
