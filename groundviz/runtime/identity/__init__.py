"""Identifies a model: its weights, its adapters and its origin."""
