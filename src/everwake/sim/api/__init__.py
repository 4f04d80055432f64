"""The control API: the part of Render's public API that a keeper needs."""
