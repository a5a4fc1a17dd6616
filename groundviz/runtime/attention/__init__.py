"""Attention rows and their gradients, read beside the model's own kernel."""
