"""Masks as files, one way per file: the answer in the form the question came in."""
