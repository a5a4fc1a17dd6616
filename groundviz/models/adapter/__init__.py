"""What the families share: where image tokens lie, and how tiles and patches map to the image."""
