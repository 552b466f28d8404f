"""From shards to a worker's batches, in the exact order."""
