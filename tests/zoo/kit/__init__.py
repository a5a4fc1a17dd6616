"""What tiny models of several types share."""
