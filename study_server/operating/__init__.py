"""For whoever runs a study: how far it is, what was answered, backups."""
