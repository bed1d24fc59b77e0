"""Health checks, rollbacks and promotions: the decisions about deployed versions. Pure."""
