"""Actors' face rigs: read, check, transfer."""
