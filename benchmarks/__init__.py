"""Programs that measure, and the plain programs that they and the tests measure against; nothing here is installed."""
