"""Much work through a pool of models on Ray."""
