"""The one page that participants open; what it shows next, its script asks of the API."""

from flask import Blueprint, render_template

from study_server.sessions.study import Study
from study_server.texts import all_words


def blueprint(study: Study) -> Blueprint:
    """The page at /."""
    about = study.config.about
    words = all_words(about.languages, study.config.texts)  # type: ignore[arg-type]
    pages = Blueprint("participant", __name__)

    @pages.get("/")
    def page() -> str:
        return render_template(
            "participant/index.html",
            language=about.languages[0],
            languages=about.languages,
            title=about.title,
            words=words,
        )

    return pages
