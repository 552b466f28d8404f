"""GeoTIFF through rasterio: where pixels lie on the Earth, which of them hold data, and reading by windows."""
