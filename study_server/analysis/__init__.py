"""Judgements go in; fooling rates, their intervals and comparisons come out. Arrays and scipy alone.

judgements   one row per trial, of sessions that came to their end
exclusions   the rules that were declared, applied in their order
clusters     counts per participant: rate, intraclass correlation, design effect
intervals    Korn-Graubard's interval, the clustered standard error, equivalence
bootstraps   of participants, and the two-level one of printed tables
contrasts    two algorithms: difference, permutation test, Holm
gee, twoway  checks: the same rate by other roads
closer       practice, fatigue, sides, times, images
analysis     all of it, in one value that a report shows
planning     how many people a wanted interval or difference needs; checked by simulation
"""
