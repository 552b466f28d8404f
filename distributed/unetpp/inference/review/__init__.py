"""The images that a network is least certain of, for people to look at."""
