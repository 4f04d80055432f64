"""Bringing a service back: what is decided (`plan`, `guard`, `proof`), what may be done (`playbooks`), and how (`execute`)."""

from everwake.remedy._registry import found, playbooks

__all__ = ["found", "playbooks"]
