"""The live cards of deployments, and the threads below them."""
