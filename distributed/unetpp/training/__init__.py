"""Training: one plain-PyTorch loop, and the adapter that runs it in Ray Train workers."""
