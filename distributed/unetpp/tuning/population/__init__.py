"""Population based training: trials that fall behind go on with a better one's weights and changed losses."""
