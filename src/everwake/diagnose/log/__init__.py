"""Logs, read in one pass: what a platform, a runtime or a library says that matters to a diagnosis. Pure, bounded, linear."""
