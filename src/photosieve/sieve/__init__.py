"""The product: fit, save, load, search, compare."""
