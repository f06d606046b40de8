"""The real-vs-fake study with people: what is shown, what is recorded, what gives the answer away."""
