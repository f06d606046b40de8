"""What a participant may do next, and what it does to the database. No HTTP here: requests are plain values."""
