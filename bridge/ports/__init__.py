"""Ports between the pipeline and the outside: small Protocols and the records they exchange.

Adapters implement them; the pipeline knows nothing else about adapters. A capability that only
some adapters have is a Protocol of its own (`Configures`).
"""
