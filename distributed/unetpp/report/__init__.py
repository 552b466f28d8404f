"""Reports: one self-contained HTML page a run, and comparisons of runs."""
