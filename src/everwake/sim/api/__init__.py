"""The control API: the part of Render's public API that a keeper needs, and a few private routes for drills."""
