"""Borrowing a model: locks, memory and restoring. No other code writes to a user's model."""
