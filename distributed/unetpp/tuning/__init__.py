"""Hyper-parameter sweeps: spaces, the study and its record, early stopping, budgets and the leaderboard."""
