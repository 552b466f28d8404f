"""Using trained runs: evaluation, prediction on files, export."""
