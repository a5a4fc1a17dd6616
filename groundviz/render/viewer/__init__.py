"""The interactive viewer: its payload and its script."""
