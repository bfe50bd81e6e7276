"""Pages and pictures of a study's results."""
