"""A comparison goes in; one HTML file that needs nothing else comes out: tables, figures, how each number was made."""

from cgeval.compare.report.report import write_report

__all__ = ["write_report"]
