"""The metrics of a map against a reference, one file for each kind; importing this registers them all."""

from groundviz.metrics.maps import contrast, energy, gaze, overlap, pointing, ranking, view

__all__ = ["contrast", "energy", "gaze", "overlap", "pointing", "ranking", "view"]
