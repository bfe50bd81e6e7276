"""What is known before any job runs: the study, its code, its state."""
