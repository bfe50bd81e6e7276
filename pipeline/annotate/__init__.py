"""Labels, transcripts, split and quality of a dataset."""
