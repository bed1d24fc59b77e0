"""One deployment, from a clone to what runs."""
