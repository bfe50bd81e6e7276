"""Maths on sampled sound that voices and networks share."""
