"""Many images: read ahead, predicted together where they have one shape, written behind; resumed by name."""
