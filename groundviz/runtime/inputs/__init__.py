"""What a model is given and what of it can be read: the prompt, its pixels, sites within the model."""
