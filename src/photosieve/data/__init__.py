"""Photos and labels on disk: found, checked, decoded, changed."""
