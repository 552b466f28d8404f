"""Which images are in which split: grouped, stratified, and stable when data are added."""
