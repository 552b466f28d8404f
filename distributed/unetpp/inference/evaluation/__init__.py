"""What an evaluation accumulates, keeps and writes."""
