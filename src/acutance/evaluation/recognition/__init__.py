"""Recognition as a measure: what readers of codes, letters and plates still read, before and after restoring."""
