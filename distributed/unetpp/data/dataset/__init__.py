"""A packed dataset: shards, manifests, checks."""
