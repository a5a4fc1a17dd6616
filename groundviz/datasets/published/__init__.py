"""One file per published data set, each reading its publisher's own files."""
