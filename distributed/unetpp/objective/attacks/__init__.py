"""Changes of images, within a bound, by which a network segments them wrongly."""
