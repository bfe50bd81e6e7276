"""What draws: figures, bars, strips, streams on a time line."""
