"""Decoded shards shared by all processes of a machine."""
