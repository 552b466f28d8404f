"""A run's folder around the loop: preparing, resuming, checkpoints, trackers."""
