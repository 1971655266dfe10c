"""The numerics, one folder per subject: arrays in, arrays out."""
