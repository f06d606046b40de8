"""Segmentation networks: FCN-8s and others, and the files their weights come in."""
