"""Polygons that lie on the Earth, in GeoJSON and GeoPackage, drawn on the grids of images that do so too."""
