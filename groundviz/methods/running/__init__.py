"""From the names of methods to their maps in a record."""
