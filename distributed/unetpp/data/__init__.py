"""Packed datasets: the format, packing, checking, the exact order and the stream to workers."""
