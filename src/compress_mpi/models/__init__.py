"""Networks: torch modules and one training loop. Tensors and arrays only, no files.

Importing this package imports nothing heavy, and so do its modules ``specification``, ``training`` and
``made``; the others import torch, and are imported by the functions that train or draw.
"""
