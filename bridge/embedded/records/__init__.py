"""What is kept on disk: applications and their like, deployments, the queue."""
