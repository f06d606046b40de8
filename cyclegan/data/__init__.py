"""Datasets made (`prepare`, `download`, `streets`), decoded once (`cache`), and drawn as batches (`sampling`)."""
