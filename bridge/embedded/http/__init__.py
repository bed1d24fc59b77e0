"""Dokploy's HTTP API: the door and its procedures, what they take and what they answer."""
