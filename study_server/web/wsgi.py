"""For other servers, such as gunicorn: `gunicorn study_server.web.wsgi:application`, configured by the environment.

STUDY: the folder; STUDY_DATABASE_URL: of PostgreSQL, for several machines.
"""

import os
from pathlib import Path

from study_server.sessions.study import open_study
from study_server.web import logs
from study_server.web.factory import create_app

folder = Path(os.environ["STUDY"])
logs.write_to(folder)
application = create_app(open_study(folder, os.environ.get("STUDY_DATABASE_URL")))
