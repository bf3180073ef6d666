"""What runs a network: one port, the libraries behind it, devices, and models of others made ours."""
