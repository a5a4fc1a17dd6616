"""Figures for papers (matplotlib) and charts (plotly)."""
