"""A database in trouble, for real: what the service does meanwhile, what it says, and what is true afterwards."""
