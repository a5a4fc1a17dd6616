"""The prompt's tensors, its pixels, and the sites within a model where the image can be read."""
