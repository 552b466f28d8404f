"""GeoTIFF through rasterio: pixels with a place on the Earth, read by windows."""
