"""What all renderings share: colours, overlays, captions, escaping."""
