"""Which image belongs to which mask, from their paths alone: pure functions over text."""
