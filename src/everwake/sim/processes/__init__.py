"""Processes that run together: each watched, its lines heard, none left behind."""
