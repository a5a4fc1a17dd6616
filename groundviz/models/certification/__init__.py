"""Whether maps of a model will lie where it looked: probes of the model at hand."""
