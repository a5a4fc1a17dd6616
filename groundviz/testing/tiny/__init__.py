"""Random models small enough to build in every test, yet of the real architecture."""

from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

__all__ = ["tiny_llava", "tiny_llava_processor"]
