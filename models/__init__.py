"""Diffusion models of two people's faces and bodies from their speech."""

import os

# Read when torch loads its OpenMP. Threads that spin while they wait for each other starve as soon as the
# machine has other work: on two busy cores a training step took 0.4 to 0.6 s with this setting, 2 s to more
# than 10 s without.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
