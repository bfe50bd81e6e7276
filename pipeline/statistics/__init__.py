"""Tables and figures on a whole dataset."""
