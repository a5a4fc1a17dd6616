"""One sample after another: asked, explained and scored."""
