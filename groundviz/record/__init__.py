"""What is known of an answer, as data: numpy alone, no model, no torch."""
