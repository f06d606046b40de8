"""Both sides and what was found go in; the verdict comes out, as text for people and as JSON for programs."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from statistics import fmean

import click

from study_server.checking.findings import Finding, Severity
from study_server.checking.seen import ImagesSeen

Result = tuple[ImagesSeen, list[Finding]]  # an algorithm's images, and what was found against the real ones


def fails(results: Sequence[Result]) -> bool:
    """Is there anything to mend before the images are shown?"""
    return any(finding.severity.fails for _, findings in results for finding in findings)


def as_text(real: ImagesSeen, results: Sequence[Result], width: int) -> str:
    """A table and the findings for each algorithm, and what to do next, wrapped to `width` characters."""
    parts = [part for fake, findings in results for part in (_table(real, fake), _findings(findings, width))]
    return "\n\n".join([*parts, click.wrap_text(_what_next(results), width)])


def as_json(real: ImagesSeen, results: Sequence[Result]) -> str:
    """The same for programs: counts of each side, and every finding with its share of pairs right."""
    algorithms = [_counts(fake) | {"findings": [asdict(finding) for finding in findings]} for fake, findings in results]
    return json.dumps({"real": _counts(real), "algorithms": algorithms}, indent=2, ensure_ascii=False)


def _table(real: ImagesSeen, fake: ImagesSeen) -> str:
    rows = [("", real.name, fake.name), *((head, told(real), told(fake)) for head, told in SUMMARY.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    return "\n".join("  ".join(row).rstrip() for row in padded)


def _findings(findings: Sequence[Finding], width: int) -> str:
    if not findings:
        return "Nothing found that tells the two sides apart."
    return "\n".join(line for finding in findings for line in _finding(finding, width))


def _finding(finding: Finding, width: int) -> list[str]:
    head = click.style(f"{finding.severity.value}: {finding.tell}", bold=finding.severity.fails or None)
    return [head, *(click.wrap_text(text, width, "  ", "  ") for text in (finding.found, f"-> {finding.todo}"))]


def _what_next(results: Sequence[Result]) -> str:
    bad = {fake.name: [f.tell for f in findings if f.severity.fails] for fake, findings in results}
    if any(bad.values()):
        which = "; ".join(f"{name}: {', '.join(tells)}" for name, tells in bad.items() if tells)
        return f"Next: mend what gives the answer away or spoils the study ({which}), then run this check again."
    if any(f.severity is Severity.MAY_HELP for _, findings in results for f in findings):
        return (
            "Next: nothing in the files gives the answer away, but something may help a careful participant: mend what "
            "is cheap to mend, and report what stays."
        )
    return "Next: nothing in the files gives the answer away, so the images can be shown."


def _most(kinds: Sequence[str]) -> str:
    """The most frequent kind, and how many others there are."""
    ranked = Counter(kinds).most_common()
    kind, count = ranked[0]
    return kind if len(ranked) == 1 else f"{kind} ({count}) and {len(ranked) - 1} more"


SUMMARY: dict[str, Callable[[ImagesSeen], str]] = {
    "images": lambda side: str(len(side.images)),
    "format": lambda side: _most([image.header.format for image in side.images]),
    "size": lambda side: _most([image.size for image in side.images]),
    "pixel mode": lambda side: _most([image.header.mode for image in side.images]),
    "without colour": lambda side: str(sum(image.grey for image in side.images)),
    "with a border": lambda side: str(sum(image.framed for image in side.images)),
    "measured": lambda side: str(len(side.measured)),
    "traces of JPEG": lambda side: f"{sum(side.grids)} of {len(side.grids)}" if side.grids else "too small to tell",
    "sharpness (grey levels)": lambda side: _mean([m.sharpness for m in side.measured]),
    "brightness (grey levels)": lambda side: _mean([m.brightness for m in side.measured]),
}


def _mean(values: Sequence[float]) -> str:
    return f"{fmean(values):.1f}" if values else "-"


def _counts(side: ImagesSeen) -> dict[str, object]:
    return {
        "name": side.name,
        "folder": str(side.folder),
        "images": len(side.images),
        "unreadable": len(side.unreadable),
        "without_colour": sum(image.grey for image in side.images),
        "with_border": sum(image.framed for image in side.images),
        "measured": len(side.measured),
        "jpeg_grids": sum(side.grids),
        "jpeg_grids_of": len(side.grids),
        "sharpness": fmean(m.sharpness for m in side.measured) if side.measured else None,
        "brightness": fmean(m.brightness for m in side.measured) if side.measured else None,
    }
