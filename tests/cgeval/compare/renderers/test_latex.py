"""LaTeX: balanced and with equal columns whatever labels hold; compiled where there is a pdflatex."""

import re
import shutil
import subprocess
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cgeval.compare.renderers import as_latex
from cgeval.compare.renderers.latex import SIGNS, escaped, prose
from cgeval.compare.renderers.wording import one_line
from tests.cgeval.compare.renderers import comparisons

ANY = st.text(st.characters(), max_size=60)
SPECIAL = st.text(st.sampled_from("_%&#$~^\\{}[]*<>|`'\"-–—?!, a\n%"), max_size=30)
NESTED = re.compile(r"\\begin\{tabular\}\[t\]\{@\{\}l@\{\}\}(.*?)\\end\{tabular\}")


def without_escapes(text):
    """The text without comments and without signs that a backslash makes letters of."""
    text = re.sub(r"\\[\\%&#_${}]", "", text)
    return re.sub(r"%.*", "", text)


def assert_balanced(text):
    depth = 0
    plain = without_escapes(text)
    for sign in plain:
        depth += {"{": 1, "}": -1}.get(sign, 0)
        assert depth >= 0
    assert depth == 0
    assert plain.count("$") % 2 == 0
    opened = []
    for what, name in re.findall(r"\\(begin|end)\{(\w+)\}", plain):
        if what == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened


def tabulars(text):
    """Column specification and rows of cells of each tabular; a broken label counts as one cell."""
    found = []
    for spec, body in re.findall(r"\\begin\{tabular\}\{@\{\}(\w+)@\{\}\}\n(.*?)\n *\\end\{tabular\}", text, re.DOTALL):
        lines = [line.strip() for line in body.splitlines()]
        rows = [
            re.sub(r"\\\\(\[2pt\])?$", "", NESTED.sub("X", line)) for line in lines if line.endswith(("\\\\", "pt]"))
        ]
        found.append((spec, [re.split(r"(?<!\\)&", row) for row in rows]))
    return found


def back(text):
    """What LaTeX shows of an escaped text."""
    signs = {shown: sign for sign, shown in SIGNS.items()}
    shown = re.compile("|".join(re.escape(each) for each in sorted(signs, key=len, reverse=True)) + r"|\{\}")
    return shown.sub(lambda found: signs.get(found[0], ""), text)


@settings(max_examples=40, deadline=None)
@given(ANY | SPECIAL)
@example("–-—--")
@example("''','")
@example("\\\\")
@example("[2pt]")
def test_any_label_is_shown_as_it_is(label):
    expected = "".join(sign for sign in one_line(label) if unicodedata.category(sign) != "Cf")
    assert back(escaped(label)) == unicodedata.normalize("NFC", expected)


@settings(max_examples=30, deadline=None)
@given(st.lists(ANY | SPECIAL, min_size=1, max_size=2), ANY | SPECIAL)
@example(["%"], "%")
@example(["}"], "\\")
@example(["[", "*"], "`a` `b")
def test_any_label_title_and_note_leave_it_balanced_with_equal_columns(labels, title):
    for document in (True, False):
        text = as_latex(comparisons.labelled(*labels, title=title, note=title), document=document)
        assert_balanced(text)
        numbers, differences = tabulars(text)
        assert len(numbers[1]) == 2 + len(labels)
        assert len(differences[1]) == 1 + 2 * len(labels)
        assert all(len(row) == len(spec) == 4 for spec, rows in (numbers, differences) for row in rows)


def test_a_label_is_no_argument_of_the_line_end_before_it():
    for label, shown in {"[2pt] wide": "{[}2pt{]} wide &", "*": "{*} &"}.items():
        assert f"\n    {shown}" in as_latex(comparisons.labelled(label)).replace("      ", "    ")


def test_two_dashes_are_no_longer_dash():
    assert escaped("a--b") == "a-{}-b"
    assert escaped("a–b") == r"a\textendash{}b"


def test_accents_are_composed():
    assert escaped("cafe\u0301") == "café"


def test_sentences_have_arrows_times_and_commands():
    assert prose("labels -> photo at 128x128 by `a_b --c`") == (
        r"labels $\rightarrow$ photo at 128$\times$128 by \texttt{a\_b -{}-c}"
    )


def test_it_is_set_with_booktabs_and_nothing_else():
    text = as_latex(comparisons.rich())
    assert text.splitlines()[0].endswith(r"needs \usepackage{booktabs}")
    assert not re.search(r"^\s*\\(hline|documentclass|usepackage)", text, re.MULTILINE)
    for rule in ("toprule", "midrule", "bottomrule"):
        assert f"\\{rule}" in text
    assert "|" not in re.sub(r"\\caption.*", "", text)


def test_each_group_and_its_differences_are_a_table_with_a_label_of_its_own():
    text = as_latex(comparisons.rich())
    labels = re.findall(r"\\label\{(.*?)\}", text)
    assert labels == [f"tab:camvid-{i}" for i in range(1, 11)]
    assert text.count(r"\begin{table}[tb]") == 10


def test_a_dataset_of_any_name_gives_a_label_that_latex_takes():
    whole = comparisons.plain()
    for name, label in {"Cityscapes (256 px)": "tab:cityscapes-256-px-1", "画": "tab:comparison-1"}.items():
        text = as_latex(comparisons.replace(whole, dataset={"name": name}))
        assert re.findall(r"\\label\{(.*?)\}", text)[0] == label


def test_the_caption_says_protocol_n_and_intervals():
    (caption, *_) = re.findall(r"\\caption\{(.*)\}", as_latex(comparisons.rich()))
    for words in (
        "n = 233",
        "Protocol: fcn-score-scorer-size: network at",
        "Intervals: bootstrap over images",
        "Bold:",
    ):
        assert words in caption


def test_the_best_is_bold_and_intervals_are_small():
    text = as_latex(comparisons.plain())
    assert r"pix2pix & \textbf{0.731} {\scriptsize [0.719, 0.743]} &" in text
    assert r"CycleGAN & 0.447 {\scriptsize [0.435, 0.459]} &" in text


def test_differences_have_signs_of_mathematics_and_both_p_values():
    text = as_latex(comparisons.rich())
    assert r"Gatys, the scream & $-$0.157 {\scriptsize [$-$0.171, $-$0.141]} &" in text
    assert r"& {\scriptsize $<$0.001 (0.002)} &" in text


def test_parts_stand_between_rules():
    (table, *_) = re.findall(r"\\toprule.*?\\bottomrule", as_latex(comparisons.rich()), re.DOTALL)
    parts = [part.strip().splitlines() for part in table.split(r"\midrule")]
    assert [len(part) for part in parts] == [2, 1, 8, 4, 3]


def test_a_document_has_all_it_needs_and_falls_back_on_code_points():
    text = as_latex(comparisons.rich(), document=True)
    assert text.startswith(r"\documentclass{article}")
    assert r"\orcodepoint{753B}{画}" in text
    assert text.endswith("\\end{document}\n")
    assert r"\texttt{cyclegan train -{}-set direction=BtoA}" in text


def test_a_part_of_a_document_has_notes_as_comments():
    assert "\n% pix2pix has no photo -> labels" in as_latex(comparisons.rich())


@pytest.mark.slow
@pytest.mark.parametrize("make", [comparisons.rich, comparisons.plain, lambda: comparisons.labelled(*SIGNS, "'" * 3)])
def test_a_document_compiles(make, tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex here")
    (tmp_path / "tables.tex").write_text(as_latex(make(), document=True), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
