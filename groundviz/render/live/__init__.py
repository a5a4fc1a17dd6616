"""The viewer as a live widget in a notebook."""
