"""Indexes: photos of folders, embedded once and kept, and searched without opening one."""
