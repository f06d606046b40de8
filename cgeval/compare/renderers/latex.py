"""A comparison goes in; LaTeX tables come out, set with booktabs. Any text of a label or a path is shown as it is.

Latin letters with accents compile with every engine. What pdfLaTeX has no sign for, such as Chinese, is shown by
XeLaTeX and LuaLaTeX with a font that has it; a whole document shows its code point in pdfLaTeX.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cgeval.compare.comparison import Comparison, Table
from cgeval.compare.renderers.facts import Fact, facts
from cgeval.compare.renderers.grid import wrapped
from cgeval.compare.renderers.sheets import Sheet, Words, difference_sheet, number_sheets
from cgeval.compare.renderers.wording import (
    UNSURE,
    DifferenceWords,
    NumberWords,
    best_words,
    data_words,
    difference_title,
    heading,
    one_line,
    title_words,
)

SIGNS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # after \\ a bracket or a star would be its argument
    "]": "{]}",
    "*": "{*}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "…": r"\dots{}",
    "−": "$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "→": r"$\rightarrow$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
} | {sign: f"\\{sign}" for sign in "_%&#${}"}
LIGATURES = "-',"  # two of one of these become another sign
CODE = re.compile(r"`([^`]+)`")
PREAMBLE = r"""\documentclass{article}
\usepackage[margin=20mm]{geometry}
\usepackage{booktabs,iftex,textcomp}
\ifPDFTeX
  \usepackage[T1]{fontenc}
  \IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
  \newcommand{\orcodepoint}[2]{\ifcsname u8:\detokenize{#2}\endcsname\else
    \DeclareUnicodeCharacter{#1}{\fbox{\tiny #1}}\fi}
"""

LATIN_1 = 0xFF
LABEL_AT_MOST = 32  # signs in a line

Lines = list[str]


@dataclass(frozen=True)
class Float:
    """One `table`. below: sentences under it."""

    caption: str
    tabular: Lines
    below: Lines

    def lines(self, label: str) -> Lines:
        """The whole of it."""
        box = [r"  \par\smallskip\parbox{0.95\linewidth}{\footnotesize", *(f"    {each}\\par" for each in self.below)]
        return [
            "",
            r"\begin{table}[tb]",
            r"  \centering\small",
            f"  \\caption{{{self.caption}}}",
            f"  \\label{{{label}}}",
            r"  \smallskip",
            *(f"  {line}" for line in self.tabular),
            *([*box, "  }"] if self.below else []),
            r"\end{table}",
        ]


def as_latex(comparison: Comparison, *, document: bool = False) -> str:
    r"""One `table` for each group of numbers and each of differences; needs the package booktabs.

    document: a whole one that compiles as it stands, else what is put into one by \input.
    """
    name = re.sub(r"[^a-z0-9]+", "-", comparison.name.lower()).strip("-") or "comparison"
    floats = [each for table in comparison.tables for each in _floats(comparison, table)]
    body = [line for i, each in enumerate(floats, 1) for line in each.lines(f"tab:{name}-{i}")]
    if document:
        body += [line for note in comparison.notes for line in ("", prose(note))]
        text = "\n".join(body)
        return f"{PREAMBLE}{_code_points(text)}\\fi\n\\begin{{document}}\n{text}\n\\end{{document}}\n"
    head = [f"% {one_line(heading(comparison))}; needs \\usepackage{{booktabs}}"]
    return "\n".join([*head, *body, *(f"% {one_line(note)}" for note in comparison.notes)]) + "\n"


def escaped(text: str) -> str:
    """The text in one line, such that LaTeX shows it as it is."""
    return _in_signs(one_line(text))


def prose(text: str) -> str:
    """A sentence of ours: as `escaped`, with arrows and sizes as they are printed, and code between backticks."""
    parts = CODE.split(one_line(text))
    return "".join(
        f"\\texttt{{{_in_signs(part)}}}" if i % 2 else _in_signs(_printed(part)) for i, part in enumerate(parts)
    )


def _in_signs(line: str) -> str:
    signs = "".join(sign for sign in unicodedata.normalize("NFC", line) if unicodedata.category(sign) != "Cf")
    return "".join(
        SIGNS.get(sign, sign) + ("{}" if sign in LIGATURES and signs[i + 1 : i + 2] == sign else "")
        for i, sign in enumerate(signs)
    )


def _printed(text: str) -> str:
    return re.sub(r"(?<=\d)x(?=\d)", "×", text.replace(" -> ", " → "))


def _floats(comparison: Comparison, table: Table) -> list[Float]:
    """Numbers, then their differences; footnotes stand under the last."""
    sheets = number_sheets(table)
    differences = (difference_sheet(sheet) for sheet in sheets)
    floats = [_numbers(comparison, sheet) for sheet in sheets]
    floats += [_differences(comparison, sheet) for sheet in differences if sheet]
    footnotes = [prose(footnote) for footnote in table.footnotes]
    return [*floats[:-1], replace(floats[-1], below=floats[-1].below + footnotes)] if floats else []


def _numbers(comparison: Comparison, sheet: Sheet) -> Float:
    known = [_fact_words(fact) for fact in facts(sheet.table, sheet.places)]
    marked = best_words([sheet.table])
    caption = [_what(comparison, sheet), *known, *([f"Bold: {marked}."] if marked else [])]
    below = [f"No numbers: {'; '.join(escaped(label) for label in sheet.without)}."] if sheet.without else []
    below += [f"?: {prose(UNSURE)}."] if sheet.has_unsure else []
    return Float(prose(" ".join(caption)), _tabular(sheet), below)


def _differences(comparison: Comparison, sheet: Sheet) -> Float:
    """The caption says how it was measured only by the protocol's name: the numbers' own says the rest."""
    (group,) = (sheet.table.groups[place] for place in sheet.places)
    caption = [_what(comparison, sheet), f"Protocol: {group.protocol}.", difference_title(comparison)]
    return Float(prose(" ".join(caption)), _tabular(sheet), [])


def _what(comparison: Comparison, sheet: Sheet) -> str:
    ((head, _),) = sheet.groups
    title = title_words(comparison, sheet.table).rstrip(".")
    return f"{data_words(comparison)}, {', '.join(head)}{'; ' if title else ''}{title}."


def _fact_words(fact: Fact) -> str:
    return f"{fact.heading[:1].upper()}{fact.heading[1:]}: {fact.text.rstrip('.')}."


def _tabular(sheet: Sheet) -> Lines:
    """Heads, then parts of rows between rules."""
    heads = ["$n$" if column.head == "n" else escaped(column.head) for column in sheet.columns]
    lines = [f"\\begin{{tabular}}{{@{{}}l{'r' * len(heads)}@{{}}}}", r"  \toprule", _line(["", *heads])]
    for part in sheet.sections:
        lines.append(r"  \midrule")
        lines += [line for i in part for line in _row(sheet, i)]
    return [*lines, r"  \bottomrule", r"\end{tabular}"]


def _row(sheet: Sheet, i: int) -> Lines:
    """One line; for differences another one with the p-values, and a little space."""
    cells = [_cell(column.cells[i]) for column in sheet.columns]
    lines = [_line([_label(sheet.labels[i]), *(first for first, _ in cells)])]
    if any(second for _, second in cells):
        lines.append(_line(["", *(second for _, second in cells)], "[2pt]"))
    return lines


def _line(cells: Sequence[str], space: str = "") -> str:
    return f"  {' & '.join(cells).strip()} \\\\{space}"


def _label(label: str) -> str:
    """A long one is broken, as a table of its own, for words may be longer than any width that is set."""
    lines = wrapped(label, LABEL_AT_MOST)
    if len(lines) == 1:
        return escaped(label)
    below = r"\\".join(f"{{{escaped(line)}}}" for line in lines)
    return rf"\begin{{tabular}}[t]{{@{{}}l@{{}}}}{below}\end{{tabular}}"


def _cell(words: Words) -> tuple[str, str]:
    """What stands in the row's first line, and in its second."""
    if isinstance(words, NumberWords):
        value = f"\\textbf{{{words.value}}}" if words.best else words.value
        return f"{value}{'$^?$' if words.unsure else ''}{_small(words.interval)}", ""
    if isinstance(words, DifferenceWords):
        return f"{_signs(words.value)}{_small(words.interval)}", _small(words.p_values).lstrip()
    return words or "--", ""


def _small(text: str) -> str:
    return f" {{\\scriptsize {_signs(text)}}}" if text else ""


def _signs(text: str) -> str:
    """Digits with the signs of mathematics."""
    return re.sub(r"[-+<](?=\d)", r"$\g<0>$", text).replace("±", r"$\pm$")


def _code_points(text: str) -> str:
    """What pdfLaTeX may have no sign for, each with its code point to fall back on."""
    beyond = sorted({sign for sign in text if ord(sign) > LATIN_1})
    return "".join(f"  \\orcodepoint{{{ord(sign):04X}}}{{{sign}}}\n" for sign in beyond)
