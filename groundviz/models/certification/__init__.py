"""Tests whether maps of a model are placed where it attended, by probing that model."""
