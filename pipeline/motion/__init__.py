"""Maths on moving bodies: rotations, joints, skeletons, poses and the clock. Arrays in, arrays out."""
