"""What the families share: positions of image tokens, and the geometry of tiles and patches."""
