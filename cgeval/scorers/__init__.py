"""Scorers: segmentation networks that say what a photo shows, kept as files, loaded, imported and trained."""
