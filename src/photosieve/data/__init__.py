"""Photos and labels on disk: find, check, decode and change them."""
