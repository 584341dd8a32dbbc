"""Indexes: photos of folders, embedded once, and searched without opening a photo."""
