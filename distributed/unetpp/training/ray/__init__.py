"""Training on Ray: driver, workers, preemption, failures, metrics."""
