"""Whatever users keep images in, opened alike: one file per format, found by `registry`."""
