"""Keeps small cloud services awake, says why one is down, brings it back, and proves it."""
