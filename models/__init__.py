"""Diffusion models of two people's faces and bodies from their speech."""
