"""Passes of a borrowed model: generation, teacher-forced passes, and what is read from each."""
