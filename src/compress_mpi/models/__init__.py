"""Networks: torch modules and one training loop. Tensors and arrays only, no files.

Importing this package imports nothing heavy; its modules ``arrays``, ``flow``, ``gan`` and ``players``
import torch, and are imported by the functions that train or draw.
"""
