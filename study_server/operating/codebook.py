"""What every column of an export means."""

from typing import NamedTuple


class Column(NamedTuple):
    """type: of the values; meaning: with the unit, and the values where they are few."""

    type: str
    meaning: str


_TIME = "UTC, ISO 8601"
CODEBOOK: dict[str, dict[str, Column]] = {
    "sessions": {
        "session": Column("text", "The session's number in this study; there is one session per participant."),
        "platform": Column("text", "How the participant came: open, links, mturk, prolific."),
        "arm": Column("text", "The algorithm whose images were shown; empty before consent."),
        "state": Column(
            "text",
            "ENTERED, CONSENTED, CHECKED, PRELOADED, PRACTICE, MAIN, QUESTIONNAIRE; ended: DONE, DECLINED, "
            "SCREENED_OUT, ABANDONED, EXCLUDED.",
        ),
        "consented": Column("true or false", "Whether the participant agreed to take part."),
        "language": Column("text", "Of the page: en, zh."),
        "entered_at": Column("time", _TIME),
        "consented_at": Column("time", _TIME),
        "ended_at": Column("time", _TIME),
        "flags": Column("JSON list", "phone: the screen's shorter side is under 600 px."),
        "seed": Column("number", "From which the session's pairs, sides and order were drawn."),
        "device": Column("JSON", "Window in CSS px (width_px, height_px), dpr, refresh_hz, touch, visible."),
        "replies": Column("JSON", "Consent, demographics where asked, and the questionnaire at the end."),
    },
    "trials": {
        "session": Column("text", "As in sessions."),
        "arm": Column("text", "As in sessions."),
        "session_state": Column("text", "The session's state; a study's rates are over DONE."),
        "trial_index": Column("number", "From 0, practice included (jsPsych's name)."),
        "phase": Column("text", "practice (with feedback), scored, catch (noise in place of the generated image)."),
        "pair_id": Column("text", "The pair in manifest.json."),
        "real": Column("text", "The real image's file within its source."),
        "fake": Column("text", "The generated image's file within its source; noise in catch trials."),
        "real_side": Column("text", "Where the real image was: left, right."),
        "asked": Column("text", "Which image was to be clicked: real, fake."),
        "looked_at": Column("time", f"When the exposure was granted. {_TIME}"),
        "looks": Column("number", "How many exposures were asked for; all but the first were refused."),
        "answered": Column("true or false", "false: missing, which is no answer."),
        "response": Column("text", "The side that was clicked: left, right (jsPsych's name)."),
        "chose_real": Column("true or false", "Whether the real image was clicked."),
        "correct": Column("true or false", "Whether the image that was asked for was clicked."),
        "fooled": Column("true or false", "Whether the generated image was taken for the real one: not correct."),
        "rt": Column("number", "Reaction time in ms, from the question's onset (jsPsych's name)."),
        "time_elapsed": Column("number", "ms since the page was opened (jsPsych's name)."),
        "answered_at": Column("time", _TIME),
        "shown_ms": Column("number", "How long the first image was seen, in ms, by animation frames."),
        "frames": Column("number", "Animation frames of that exposure."),
        "longest_gap_ms": Column("number", "The longest time between two frames of an exposure, in ms."),
        "input": Column("text", "mouse, touch, pen, keyboard."),
        "flags": Column(
            "JSON list",
            "exposure: missed by more than the tolerance; hidden: the tab was; reloaded: a second look was refused; "
            "unseen: no exposure was measured.",
        ),
        "measurements": Column("JSON", "Everything that the page measured of the trial."),
    },
    "events": {
        "session": Column("text", "As in sessions; empty for what concerns the study."),
        "at": Column("time", _TIME),
        "kind": Column(
            "text",
            "state, came_back, taken_over, second_look_refused; of the study: started, stopped; rates_shown, exported: "
            "before all arms were complete.",
        ),
        "detail": Column("JSON", "More on it."),
    },
}


def as_markdown() -> str:
    """For people."""
    parts = ["# Codebook"]
    for table, columns in CODEBOOK.items():
        rows = [f"| `{name}` | {column.type} | {column.meaning} |" for name, column in columns.items()]
        parts.append("\n".join([f"## {table}", "", "| column | type | meaning |", "|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"
