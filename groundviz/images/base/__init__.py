"""The steps that every kind of image goes through: intake, limits, windows, display."""
