"""A dataset as a release, and a release as a dataset."""
