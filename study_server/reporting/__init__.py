"""A study goes in; what is to be said about it comes out: tables, a page, records."""
