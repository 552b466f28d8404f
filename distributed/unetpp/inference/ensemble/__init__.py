"""Several predictions of one image made one: by views, by levels, by networks."""
