"""A study goes in; its scored trials in long form come out, with an R script that fits a mixed model by lme4."""

import csv
import json
from pathlib import Path

import numpy as np

from study_server.analysis.exclusions import apply
from study_server.analysis.judgements import SCORED
from study_server.judged import Judged
from study_server.manifest import IMPORTED

TABLE, SCRIPT = "lme4.csv", "lme4.R"
COLUMNS = (
    *("participant", "image", "algorithm", "fooled", "trial_index", "real_side", "clicked", "asked", "rt_ms"),
    "excluded_by",
)
SIDES = ("right", "left")  # by whether it is the left one


def write_lme4(judged: Judged, folder: Path) -> list[str]:
    """lme4.csv and lme4.R into the folder; a sentence on them.

    A row for each answered scored trial of a finished session. Whoever is excluded stays in the table, with the name of
    the rule in excluded_by; the script leaves them out.
    """
    scored = judged.judgements.of_phase(SCORED)
    _, excluded = apply(judged.judgements, judged.rules)
    rules = np.full(len(scored.participants), "", dtype=object)
    for each in excluded:
        rules[each.participants] = each.rule
    people = _people(judged)
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        columns = (scored.participant, scored.image, scored.fooled, scored.index, scored.real_left, scored.clicked_left)
        for whose, image, fooled, index, real, clicked, rt in zip(*columns, scored.rt_ms, strict=True):
            name, arm = scored.participants[whose], scored.arms[scored.arm_of[whose]]
            sides = (SIDES[bool(real)], SIDES[bool(clicked)])
            time = "" if np.isnan(rt) else f"{rt:g}"
            row = (
                people.get(name, name),
                scored.images[image],
                arm,
                int(fooled),
                int(index),
                *sides,
                judged.asked,
                time,
            )
            table.writerow((*row, rules[whose]))
    (folder / SCRIPT).write_text(R, encoding="utf-8")
    return [
        f"{len(scored):,} scored trials, {int((rules[scored.participant] != '').sum()):,} of them excluded_by a rule."
    ]


def _people(judged: Judged) -> dict[str, str]:
    """Who stands behind a participant's name: in an import, one who judged several algorithms has several names."""
    path = judged.folder / IMPORTED
    return dict(json.loads(path.read_bytes()).get("people", {})) if path.is_file() else {}


R = """\
# Fooling rates by a mixed model: how often a generated image is taken for the real one, by algorithm, with people and
# images that differ. Run it in this folder: Rscript lme4.R      (once before: install.packages("lme4"))

library(lme4)

names_are_text <- c(participant = "character", image = "character", algorithm = "character")
trials <- read.csv("lme4.csv", encoding = "UTF-8", na.strings = "", colClasses = names_are_text)
trials$excluded_by[is.na(trials$excluded_by)] <- ""
trials <- trials[trials$excluded_by == "", ] # the rules were declared before anybody took part
for (column in c("participant", "image", "algorithm")) trials[[column]] <- factor(trials[[column]])

# fooled: 1 if the generated image was taken for the real one. No common intercept (0 +), so that every algorithm has a
# coefficient of its own. (1 | participant): some people are fooled more easily than others, in all their trials.
# (1 | image): some images fool more people than others. R needs two levels for a factor, hence the second formula.
formula <- if (nlevels(trials$algorithm) > 1) {
  fooled ~ 0 + algorithm + (1 | participant) + (1 | image)
} else {
  fooled ~ 1 + (1 | participant) + (1 | image)
}
model <- glmer(formula, data = trials, family = binomial, control = glmerControl(optimizer = "bobyqa"))

# How to read it.
#   Fixed effects     log odds of being fooled; 0 is 50 %, below 0 is less. z and p are against 50 %, that is against an
#                     algorithm that nobody can tell from real: a small p says that people can tell. They do not compare
#                     algorithms with each other; for that see below.
#   Random effects    standard deviations, in log odds, of people and of images. "boundary (singular) fit" says that one
#                     of them came out as 0: too few people or images to see it; leave that term out, and say so.
print(summary(model))

# The same as rates. These are of a typical person and a typical image (random effects at 0), so with rates away from
# 50 % they are a little farther from 50 % than the mean rates that `study-server report` gives; neither is wrong.
around <- confint(model, parm = "beta_", method = "Wald")
rates <- plogis(cbind(rate = fixef(model), around))
print(round(100 * rates, 1)) # in percent, with 95 % intervals

# Two algorithms at a time: difference of log odds, its standard error, z, and p after Holm's correction.
estimates <- fixef(model)
if (length(estimates) > 1) {
  errors <- as.matrix(vcov(model))
  pairs <- combn(length(estimates), 2)
  difference <- estimates[pairs[1, ]] - estimates[pairs[2, ]]
  error <- sqrt(diag(errors)[pairs[1, ]] + diag(errors)[pairs[2, ]] - 2 * errors[t(pairs)])
  z <- difference / error
  print(data.frame(
    first = names(estimates)[pairs[1, ]], second = names(estimates)[pairs[2, ]],
    log_odds = difference, error = error, z = z, p_holm = p.adjust(2 * pnorm(-abs(z)), "holm"),
    row.names = NULL
  ))
}
"""
