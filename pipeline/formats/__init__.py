"""Files of other programs and ours, read and written."""
