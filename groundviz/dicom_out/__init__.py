"""Maps as DICOM objects beside the original image: an image under its map, and outlines for a viewer.

The identity of the patient and of the study comes from the original file, which is handed over when it is
needed, and goes into the new file alone.
"""
