"""New replicas as combinations of a prior's own: weights, generators, and what they must pass."""
