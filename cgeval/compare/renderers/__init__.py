"""A comparison goes in; text for a terminal, Markdown, LaTeX, CSV, JSON or a pandas frame comes out."""

from cgeval.compare.renderers.latex import as_latex
from cgeval.compare.renderers.markdown import as_markdown
from cgeval.compare.renderers.numbers import as_csv, as_frame, as_json, label_of_csv
from cgeval.compare.renderers.text import as_text

__all__ = ["as_csv", "as_frame", "as_json", "as_latex", "as_markdown", "as_text", "label_of_csv"]
