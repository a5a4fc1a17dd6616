"""Without what writes DICOM there is nothing to test here."""

from importlib.util import find_spec

# What is not collected is not imported either.
collect_ignore_glob = [] if find_spec("highdicom") else ["test_*.py"]
