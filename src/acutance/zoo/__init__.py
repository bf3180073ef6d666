"""The models that ship: a table, the files, and how they are found."""
