"""What people and programs can ask the bridge: each operation once, for every door."""
