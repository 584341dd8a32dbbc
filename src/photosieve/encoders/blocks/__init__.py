"""Training of whole blocks, the last parts of the towers of a hub model."""
