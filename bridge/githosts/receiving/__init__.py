"""Receiving webhooks, from whichever Git host: payloads, signatures, commits."""
