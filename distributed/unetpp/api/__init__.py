"""Every verb as a function: what `import unetpp` offers and the command line calls."""
