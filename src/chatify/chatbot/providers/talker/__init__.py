"""A small talker without an AI: it reads a message, remembers the conversation and answers in a personality's voice. Pure."""

from chatify.chatbot.providers.talker.replies import talk

__all__ = ["talk"]
