"""Tells people, once: what is composed, to whom it goes, and that it got there."""
