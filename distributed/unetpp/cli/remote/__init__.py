"""Running verbs elsewhere."""
