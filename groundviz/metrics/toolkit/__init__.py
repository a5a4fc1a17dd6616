"""What metrics are made from: the cells they see, the rules that cut a map, and the registry."""
