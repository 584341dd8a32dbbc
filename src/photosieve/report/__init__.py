"""Reports: an evaluation as CSV, workbook or page, a search as page. Formats, never counts."""

from photosieve.report.page import write_contact_sheet, write_html
from photosieve.report.table import write_csv, write_excel, write_leaderboard
from photosieve.report.training import write_training

__all__ = [
    "write_contact_sheet",
    "write_csv",
    "write_excel",
    "write_html",
    "write_leaderboard",
    "write_training",
]
