"""Dokploy's HTTP API: its procedures, their inputs and their answers."""
