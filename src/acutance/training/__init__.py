"""Training: one readable loop over pure steps, exact resume, and a record of everything that happened."""
