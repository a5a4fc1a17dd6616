"""What extension authors test with: tiny models, fingerprints and faults on demand.

Nothing in groundviz imports this package; it may import anything in groundviz.
"""
