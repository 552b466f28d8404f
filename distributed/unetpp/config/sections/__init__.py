"""One file per section of a configuration."""
