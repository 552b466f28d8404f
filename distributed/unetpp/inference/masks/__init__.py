"""From logits to masks: thresholds and the removal of small objects."""
