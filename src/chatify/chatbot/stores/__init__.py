"""Where sessions are kept: a SQLite file, or Redis when it is configured."""

from chatify.chatbot.sessions import SessionStore
from chatify.settings import Common

__all__ = ["store_for"]


def store_for(settings: Common) -> SessionStore:
    """The store that the variables ask for; nothing is opened yet, and only what is used is imported."""
    if settings.redis_url is not None:
        from chatify.chatbot.stores.redis import RedisStore

        return RedisStore(settings.redis_url.get_secret_value())
    from chatify.chatbot.stores.sqlite import SqliteStore

    return SqliteStore(settings.data_dir / "chatbot.db")
