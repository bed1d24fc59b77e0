"""The gates between the decision to deploy and the request to the backend, and promotions."""
