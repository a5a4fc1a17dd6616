"""Borrowing a model: what is locked, remembered and put back. Nothing else writes to a user's model."""
