"""From a record to pixels: overlays, paper figures and static pages, without the model that made it."""
