"""What attribution methods are made from."""
