"""Step 2: a kept delivery → what it means → decisions → deployments asked for."""
