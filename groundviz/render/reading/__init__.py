"""The screen of a reader study."""
