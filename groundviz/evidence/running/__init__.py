"""From named checks to what came of them."""
