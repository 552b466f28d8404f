"""Progress on stderr or in a notebook: what the command line shows and `progress=True` asks for."""
