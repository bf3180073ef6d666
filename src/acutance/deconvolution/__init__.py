"""Blur undone by arithmetic: a kernel found in a picture, and a picture freed of a known kernel. NumPy only."""
