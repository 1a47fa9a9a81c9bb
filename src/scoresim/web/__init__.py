"""What scoresim shows in a browser: the report of an analysis."""
