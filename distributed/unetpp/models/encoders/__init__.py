"""Encoders that stand in for the grid's first column, and where their weights come from: a family a file."""
