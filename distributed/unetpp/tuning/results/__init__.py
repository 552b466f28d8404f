"""What a study found: leaderboard, Pareto front, importances, confirmation."""
