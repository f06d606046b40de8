"""The tables. Names of states, phases and flags are words that stand in exports as they stand here.

Times are UTC, as ISO 8601 with microseconds and "Z"; a column that ends in _ms is a duration in milliseconds, measured
by the participant's browser. No raw identity and no address of a participant is kept anywhere.
"""

from typing import Any, Literal

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

State = Literal[
    "ENTERED", "CONSENTED", "CHECKED", "PRELOADED", "PRACTICE", "MAIN", "QUESTIONNAIRE", "DONE",
    "DECLINED", "SCREENED_OUT", "ABANDONED", "EXCLUDED",
]  # fmt: skip
LIVE: tuple[State, ...] = ("CONSENTED", "CHECKED", "PRELOADED", "PRACTICE", "MAIN", "QUESTIONNAIRE")
ENDED: tuple[State, ...] = ("DONE", "DECLINED", "SCREENED_OUT", "ABANDONED", "EXCLUDED")
Phase = Literal["practice", "scored", "catch"]


class Base(DeclarativeBase):
    """Constraints have names, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012


class Setting(Base):
    """What belongs to the study as a whole.

    study_id: whose database it is. running: "yes" or "no". looked_after: when /health wrote last. wrong_passwords: when
    the admin's was tried in vain, of the last minute. watched: since when, and when last, a server ended what was left.
    """

    __tablename__ = "settings"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str]


class Session(Base):
    """One participant's session; there is never a second one of the same person.

    identity: HMAC of the platform and its id under the study's key, unique; NULL after `purge-ids`. token_sha256: of
    the bearer token, which is not kept. client: the page that is active now; another one has taken over if it differs.
    position: index of the trial that is asked now, the number of trials after the last. lease_until: until when the
    session counts for its arm without a sign of life.
    """

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    identity: Mapped[str | None] = mapped_column(String(64), unique=True)
    platform: Mapped[str] = mapped_column(String(16))
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    client: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), index=True)
    arm: Mapped[str | None] = mapped_column(String(64), index=True)
    language: Mapped[str] = mapped_column(String(8))
    position: Mapped[int] = mapped_column(default=0)
    seed: Mapped[int | None]
    entered_at: Mapped[str] = mapped_column(String(32))
    consented_at: Mapped[str | None] = mapped_column(String(32))
    ended_at: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[str | None] = mapped_column(String(32))
    code: Mapped[str | None] = mapped_column(String(64))
    flags: Mapped[list[str]] = mapped_column(default=list)
    device: Mapped[dict[str, Any]] = mapped_column(default=dict)
    replies: Mapped[dict[str, Any]] = mapped_column(default=dict)  # questionnaire and, where asked, demographics

    trials: Mapped[list["Trial"]] = relationship(back_populates="session", order_by="Trial.position")


class LeftToken(Base):
    """A bearer token of a page whose participant has entered anew: it opens nothing any more, and its page is told."""

    __tablename__ = "left_tokens"

    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("sessions.id"))


class Trial(Base):
    """One question of a session, drawn when the session was assigned.

    token: under which the browser fetches its composite; looked_at: when its exposure began, after which nobody may
    look again; look: the page's own id of that exposure, for safe repetition; looks: how often one was asked for.
    """

    __tablename__ = "trials"
    __table_args__ = (
        UniqueConstraint("session_id", "position"),
        CheckConstraint("real_side IN ('left', 'right')", name="real_side"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("sessions.id"))
    position: Mapped[int]
    phase: Mapped[str] = mapped_column(String(16))
    pair_id: Mapped[str] = mapped_column(String(64), index=True)
    real_side: Mapped[str] = mapped_column(String(8))
    asked: Mapped[str] = mapped_column(String(8))
    token: Mapped[str] = mapped_column(String(64), unique=True)
    looked_at: Mapped[str | None] = mapped_column(String(32))
    look: Mapped[str | None] = mapped_column(String(64))
    looks: Mapped[int] = mapped_column(default=0)

    session: Mapped[Session] = relationship(back_populates="trials")
    answer: Mapped["Answer | None"] = relationship(back_populates="trial")


class Answer(Base):
    """What was clicked, exactly once for a trial. attempt: the client's own id of this answer, for safe repetition.

    clicked: the side; chose_real: whether the real image is there. onset_ms, offset_ms: of the (first) image, from the
    trial's begin; frames, longest_gap_ms: of its exposure; shown_ms: offset minus onset. measurements holds all that
    the page measured, of both images where they are shown one after the other.
    """

    __tablename__ = "answers"

    id: Mapped[int] = mapped_column(primary_key=True)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trials.id"), unique=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("sessions.id"), index=True)
    attempt: Mapped[str] = mapped_column(String(64))
    answered_at: Mapped[str] = mapped_column(String(32))
    clicked: Mapped[str] = mapped_column(String(8))
    chose_real: Mapped[bool]
    rt_ms: Mapped[float | None]
    shown_ms: Mapped[float | None]
    frames: Mapped[int | None]
    longest_gap_ms: Mapped[float | None]
    input: Mapped[str | None] = mapped_column(String(16))
    flags: Mapped[list[str]] = mapped_column(default=list)
    measurements: Mapped[dict[str, Any]] = mapped_column(default=dict)

    trial: Mapped[Trial] = relationship(back_populates="answer")


class Event(Base):
    """A line of a session's timeline: a state entered, a reload, a take-over, a refusal, a pause."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_session_id_id", "session_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[int | None] = mapped_column(ForeignKey("sessions.id"))
    at: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(32))
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
