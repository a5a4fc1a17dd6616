"""The files of published checkpoints, read without running anything in them."""
