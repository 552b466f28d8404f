"""Images as they come out of worse cameras, or out of an adversary's hands."""
