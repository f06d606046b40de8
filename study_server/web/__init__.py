"""Pages and requests: a Flask app over `study_server.sessions`."""
