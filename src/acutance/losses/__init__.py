"""The paper's losses as functions `(restored, reference) -> scalar`, and the objective that adds them."""
