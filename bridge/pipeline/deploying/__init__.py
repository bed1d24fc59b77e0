"""One deployment after another: request, follow, end, watch, roll back; and configure."""
