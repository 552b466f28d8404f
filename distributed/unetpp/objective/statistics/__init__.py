"""Whether scores differ, and how sure they are."""
