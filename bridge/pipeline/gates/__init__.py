"""What holds deployments, who wakes the held ones, and what people do about gates."""
