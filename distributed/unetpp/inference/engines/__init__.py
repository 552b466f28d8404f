"""Engines that run exported networks: a module for each, chosen by the file's suffix."""
