"""Personalities: who the assistant is. Data files, the built-in ones and the operator's own on top."""

from chatify.chatbot.personalities.loading import DEFAULT_ID, BadPersonalities, FileMistake, Personality, load
from chatify.chatbot.personalities.voice import Voice

__all__ = ["DEFAULT_ID", "BadPersonalities", "FileMistake", "Personality", "Voice", "load"]
