"""From trained weights to files that engines run. What comes out needs no torch."""
