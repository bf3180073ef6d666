"""The networks of the paper, as torch modules, and the file that holds one.

They know tensors; photos and training are elsewhere.
"""
