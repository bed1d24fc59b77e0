"""Step 3: one deployment: ask → follow → end, or a person's cancel."""
