"""Step 4: every change reaches every place that shows it."""
