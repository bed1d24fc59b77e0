"""The dialog that configures an app, and what is told of what became of it."""
