"""Text sealed with a key that lies elsewhere: who has only the file reads nothing of it.

Fernet (AES-128-CBC and HMAC-SHA256) with a key of its own for each record: HKDF-SHA256 of the platform's key with a random salt.
HKDF does not slow down guessing; it need not, for a platform's key is long and random, not a password.
Facts: cryptography.io/en/latest/fernet and .../hazmat/primitives/key-derivation-functions, read 2026-11.
"""

import base64
import os

__all__ = ["SALT_BYTES", "seal", "unseal"]

SALT_BYTES = 16
# How long a secret is tells something of it: all of one step of this size look alike.
PAD_BYTES = 1024


def seal(text: str, key: str, about: str) -> tuple[bytes, bytes]:
    """(salt, token). about: what the record is of; it opens as nothing else's.

    Raises:
        ModuleNotFoundError: `cryptography` is not installed.
    """
    from cryptography.fernet import Fernet

    salt, data = os.urandom(SALT_BYTES), text.encode("utf-8")
    return salt, Fernet(_derived(key, salt, about)).encrypt(data + b" " * (-len(data) % PAD_BYTES))


def unseal(salt: bytes, token: bytes, key: str, about: str) -> str | None:
    """The text, blanks behind it; None where it was sealed with another key, or is not what was sealed.

    Raises:
        ModuleNotFoundError: `cryptography` is not installed.
    """
    from cryptography.fernet import Fernet, InvalidToken

    try:
        return Fernet(_derived(key, salt, about)).decrypt(token).decode("utf-8")
    except InvalidToken:
        return None


def _derived(key: str, salt: bytes, about: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    made = HKDF(algorithm=SHA256(), length=32, salt=salt, info=f"everwake: variables before {about}".encode())
    return base64.urlsafe_b64encode(made.derive(key.encode("utf-8", "surrogatepass")))
