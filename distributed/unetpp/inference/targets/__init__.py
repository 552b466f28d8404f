"""The exported file that is fastest here and as good as is asked for: candidates, measured and chosen."""
