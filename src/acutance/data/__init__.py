"""Photos to train and test on: the store, patches from it, and the protocol that makes test inputs.

`patches` is the torch half and is imported by training only.
"""
