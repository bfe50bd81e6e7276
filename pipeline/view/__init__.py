"""See and hear takes, and take them elsewhere: export, the viewer in the browser, films."""
