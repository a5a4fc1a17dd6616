"""Tiny random models of every family: the real architectures, the real processors, in milliseconds.

Each file has one builder, which returns a model in eval mode and the processor that fits it. Weights are
large enough that attention is far from uniform, and the pictures that the models see are several image
tokens wide; models that cut a picture into tiles do so with a picture of 61 by 37 pixels.
"""
