"""What in a result can be trusted: whether it agrees with the evidence, how far it may be off, and how it was made."""
