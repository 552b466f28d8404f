"""How far predicted borders are from true ones."""
