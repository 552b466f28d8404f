"""Many images through a pool of models on Ray."""
