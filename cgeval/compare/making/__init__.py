"""What a comparison lacks: told, timed, and made by commands that a user could type."""
