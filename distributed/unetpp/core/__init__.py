"""Errors, logs, storage, dataset manifest, provenance and seeds: no torch, no ray."""
