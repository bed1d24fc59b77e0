"""The embedded backend as the bridge's `Backend` and `Configures`, without HTTP."""
