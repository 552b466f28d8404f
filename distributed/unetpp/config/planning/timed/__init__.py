"""What a run that goes by minutes is given where the command leaves it open; pure functions."""
