"""Health checks and rollbacks: the decisions about deployed versions. Pure."""
