"""Photos and labels on disk: find, check, decode and change them."""

DEFAULT_MEGAPIXELS = 64.0
"""Larger photos are skipped; here, where the command line reads it without loading Pillow."""
