"""How two sets of replicas differ: arrays in, arrays out, plain NumPy throughout."""
