"""The server's HTTP side: the API in its own form, its description, logs to follow, sites."""
