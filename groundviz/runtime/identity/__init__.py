"""Which model this is: its weights, adapters and origin."""
