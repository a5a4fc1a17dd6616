"""What a run is on disk: keys, manifest, tables, maps and leases."""
