"""Passes of a borrowed model: generation, teacher-forced passes, and readings of their tensors."""
