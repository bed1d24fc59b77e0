"""Changing how an app is configured: shown first, then carried out."""
