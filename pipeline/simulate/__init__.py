"""The simulated shoot: two people who talk, move and make faces, with the truth about every stream."""
