"""A study's database: who takes part, what they are asked, what they answered. SQLite, or PostgreSQL by its address."""
