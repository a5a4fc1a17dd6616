"""A chest in three dimensions, and what rays through it leave on a detector."""
