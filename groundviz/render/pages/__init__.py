"""HTML pages around the viewer."""
