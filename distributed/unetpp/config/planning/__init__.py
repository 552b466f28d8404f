"""Every `auto` of a configuration decided from the dataset and the hardware."""
