"""A study goes in; its frozen pre-registration comes out, and later in what the study deviated from it."""
