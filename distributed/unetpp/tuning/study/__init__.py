"""The Optuna study and what is recorded in it."""
