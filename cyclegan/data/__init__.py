"""Datasets: where the images are (`layout`), decoded once (`cache`), and drawn as batches (`sampling`)."""
