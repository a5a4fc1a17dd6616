"""From a question to the tokens of a prompt: chat templates, offsets, control tokens."""
