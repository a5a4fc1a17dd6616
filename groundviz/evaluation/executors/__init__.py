"""Who computes the shards of a run: this process, several of this machine or of many, or a Ray cluster."""
