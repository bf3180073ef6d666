"""C2PA manifests (extra `c2pa`): a result says, signed by its maker, what was done to it, and of what it was made."""
