"""From the raw streams of a shoot to the dataset."""
