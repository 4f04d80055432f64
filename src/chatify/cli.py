"""`chatify chatbot|backend|redis-service`: read the variables, then serve.

argparse, and imports only where they are used: a waiting user pays for every millisecond of a cold start. `chatify chatbot`,
as platforms start it, does not even import argparse.
Exit codes: 0 stopped in order, 2 wrong usage, variables or a port that is taken.
"""

import gc
import sys
from collections.abc import Sequence
from importlib import import_module

__all__ = ["main"]

# word: (what --help says, name in the log, settings class, module with `create(settings)`, JSON log lines)
_SERVICES = {
    "chatbot": ("AI sessions and messages", "Chatify Chatbot", "ChatbotSettings", "chatify.chatbot.app", False),
    "backend": ("the app's backend and its chat page", "Chatify Backend", "BackendSettings", "chatify.backend.app", True),
    "redis-service": (
        "HTTP in front of Redis", "Chatify Redis Service", "RedisServiceSettings", "chatify.redis_service.app", False,
    ),
}  # fmt: skip


def _asked(argv: Sequence[str]) -> tuple[str, bool]:
    """The service, and whether to check only."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="chatify",
        description="The chat services. They read their variables from the environment: docs/settings.md.",
    )
    services = parser.add_subparsers(dest="service", required=True, metavar="SERVICE")
    for word, (help_text, *_) in _SERVICES.items():
        service = services.add_parser(word, help=help_text, description=f"Serve {help_text}.")
        service.add_argument("--check", action="store_true", help="say what is wrong with the variables, serve nothing")
    arguments = parser.parse_args(argv)
    return arguments.service, arguments.check


def main(argv: Sequence[str] | None = None) -> int:
    """Run one service until it is told to stop; its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    is_plain = len(argv) == 1 and argv[0] in _SERVICES
    word, is_check = (argv[0], False) if is_plain else _asked(argv)
    # Nothing made while the modules load is garbage; collecting among it costs a tenth of the start. `serve` turns
    # the collector on again when the port is open.
    gc.disable()
    _, name, kind, module, json_lines = _SERVICES[word]
    from chatify import settings as variables

    try:
        settings = variables.load(getattr(variables, kind))

        from chatify import logs

        level = "DEBUG" if settings.debug else settings.log_level
        logs.configure(level, json=json_lines, secrets=variables.secrets(settings))
        app = import_module(module).create(settings)
    except variables.BadSettings as mistakes:
        print(mistakes, file=sys.stderr)
        return 2
    if is_check:
        print("The variables are in order.")
        return 0

    from chatify.serving import serve

    return serve(app, settings, name=name)
