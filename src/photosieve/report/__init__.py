"""Reports: an evaluation as CSV, workbook or page, a search as page. Formats, never counts."""
