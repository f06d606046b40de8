"""Answers in other programs' forms: the AMT tool's tables, jsPsych's JSON, lme4's long format."""
