"""The model that ships with groundviz, and the synthetic chest phantoms it was trained on.

Nothing here is medicine. The phantoms have a known truth, so that a map can be marked right or
wrong; the model knows phantoms and nothing else.
"""
