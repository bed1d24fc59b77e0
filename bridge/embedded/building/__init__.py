"""From a clone to what runs: one deployment after its turn has come."""
