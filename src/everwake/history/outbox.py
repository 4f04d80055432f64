"""The alert outbox: claimed under a lease, sent, marked. Functions over a connection inside a transaction; none commits.

Whoever claims a notice has it alone until the lease ends or the outcome is marked. A worker that dies leaves the notice to
the next claim after the lease; one that was only slow is told by `failed` that it no longer holds it.
"""

import sqlite3
from datetime import datetime, timedelta

from everwake.history import statements as sql
from everwake.history.packing import to_time, to_us
from everwake.ports import Notice

__all__ = ["claim", "failed", "sent", "waiting"]

LONGEST_ERROR = 500
# Nothing is put off for so long: what seems to be was, before the clock was put back.
FAR = timedelta(minutes=20)


def claim(connection: sqlite3.Connection, worker: str, now: datetime, lease_s: float, limit: int) -> list[Notice]:
    """Up to `limit` notices that are due and that nobody holds, oldest first; they are `worker`'s for `lease_s` seconds."""
    rows = connection.execute(
        sql.CLAIM,
        {
            "worker": worker,
            "now_us": to_us(now),
            "far_us": to_us(now + FAR),
            "until_us": to_us(now + timedelta(seconds=lease_s)),
            "limit": limit,
        },
    ).fetchall()
    return [
        Notice(
            key=key, service=service, incident=incident, opened=bool(opened), title=title, body=body, at=to_time(at_us)
        )
        for _, key, service, incident, opened, title, body, at_us in sorted(rows)
    ]


def sent(connection: sqlite3.Connection, key: str, receipt: str, now: datetime) -> bool:
    """It was delivered, whoever holds it by now. False when that was known already."""
    return connection.execute(sql.SENT, (to_us(now), receipt[:LONGEST_ERROR], key)).rowcount == 1


def failed(connection: sqlite3.Connection, key: str, worker: str, error: str, again_at: datetime) -> bool:
    """It was not delivered and is due again at `again_at`. False when `worker` does not hold it any more."""
    return connection.execute(sql.FAILED, (to_us(again_at), error[:LONGEST_ERROR], key, worker)).rowcount == 1


def waiting(connection: sqlite3.Connection) -> int:
    """Notices that are not sent yet."""
    return int(connection.execute(sql.WAITING).fetchone()[0])
