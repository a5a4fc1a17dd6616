"""DICOM files: their header, their pixels, and how these are to be shown."""
