"""One deployment, from the clone to the running version."""
