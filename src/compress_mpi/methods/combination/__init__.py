"""Sets of several groups brought together: common grids, and replicas from Hessian sets."""
