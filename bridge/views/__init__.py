"""What the bridge says, once for every door: content without markup."""
