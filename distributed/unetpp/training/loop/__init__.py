"""The training loop: steps, batches on their device, validation; no Ray."""
