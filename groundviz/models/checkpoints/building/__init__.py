"""From the tensors of a published checkpoint to a model of transformers."""
