"""The tables, version by version. `PRAGMA user_version` counts the migrations that were applied.

Times: `*_us` are microseconds since 1970 UTC; hours and days count since 2025 (`packing`). Nothing here is SQLite's alone
but the file-wide PRAGMAs, which live in `_file.py`.
"""

__all__ = ["MIGRATIONS"]

_FIRST = (
    "CREATE TABLE services (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    # One way of looking at one service.
    """CREATE TABLE streams (
        id INTEGER PRIMARY KEY, service INTEGER NOT NULL REFERENCES services (id), kind TEXT NOT NULL,
        UNIQUE (service, kind))""",
    # Two integers a look, 18 bytes: hour, stream and millisecond in the key; outcome, status and duration in the value.
    "CREATE TABLE looks (key INTEGER PRIMARY KEY, value INTEGER NOT NULL)",
    "CREATE TABLE phases (key INTEGER PRIMARY KEY, phases TEXT NOT NULL)",
    """CREATE TABLE failures (
        key INTEGER PRIMARY KEY, value INTEGER NOT NULL, kind TEXT NOT NULL, phase TEXT NOT NULL, detail TEXT NOT NULL,
        phases TEXT NOT NULL, headers TEXT NOT NULL, excerpt TEXT NOT NULL)""",
    """CREATE TABLE transitions (
        id INTEGER PRIMARY KEY, service INTEGER NOT NULL REFERENCES services (id), old TEXT NOT NULL, new TEXT NOT NULL,
        at_us INTEGER NOT NULL, cause TEXT, failure TEXT)""",
    "CREATE INDEX transitions_by_service ON transitions (service, at_us)",
    "CREATE INDEX transitions_by_time ON transitions (at_us)",
    """CREATE TABLE standings (
        service INTEGER PRIMARY KEY REFERENCES services (id), state TEXT NOT NULL, since_us INTEGER NOT NULL, cause TEXT,
        streak INTEGER NOT NULL, last TEXT)""",
    """CREATE TABLE incidents (
        id TEXT PRIMARY KEY, service INTEGER NOT NULL REFERENCES services (id), opened_us INTEGER NOT NULL,
        closed_us INTEGER, cause TEXT, parent TEXT, flaps INTEGER NOT NULL, told INTEGER NOT NULL, first TEXT,
        actions TEXT NOT NULL)""",
    "CREATE INDEX incidents_by_time ON incidents (opened_us, id)",
    "CREATE INDEX incidents_by_service ON incidents (service, opened_us, id)",
    "CREATE INDEX incidents_open ON incidents (service) WHERE closed_us IS NULL",
    # The outbox. Written with the transition that it tells of, claimed under a lease, marked when it is sent.
    """CREATE TABLE notices (
        id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, service TEXT NOT NULL, incident TEXT, opened INTEGER NOT NULL,
        title TEXT NOT NULL, body TEXT NOT NULL, at_us INTEGER NOT NULL, due_us INTEGER NOT NULL, claimed_by TEXT,
        claimed_until_us INTEGER, attempts INTEGER NOT NULL DEFAULT 0, error TEXT, sent_us INTEGER, receipt TEXT)""",
    "CREATE INDEX notices_waiting ON notices (id) WHERE sent_us IS NULL",
    """CREATE TABLE log (
        id INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, level TEXT NOT NULL, service INTEGER REFERENCES services (id),
        text TEXT NOT NULL)""",
    "CREATE INDEX log_by_service ON log (service, id)",
    # When a keeper was there to look; `applied` numbers its last committed batch.
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY, began_us INTEGER NOT NULL, seen_us INTEGER NOT NULL, applied INTEGER NOT NULL)""",
    # Figures and sketches are apart, so that reading 90 days of figures reads nothing else.
    "CREATE TABLE rolled (key INTEGER PRIMARY KEY, hours BLOB NOT NULL, day BLOB NOT NULL)",
    "CREATE TABLE sketches (key INTEGER PRIMARY KEY, hours BLOB NOT NULL, day BLOB NOT NULL)",
    # One row holds a day of every service: the page asks for 90 days of all of them at once.
    "CREATE TABLE days (day INTEGER PRIMARY KEY, uptimes BLOB NOT NULL)",
    "CREATE TABLE progress (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
)

# Why it was, whether it was shown to be well again, and what another keeper goes on confirming: JSON, as `packing` writes it.
_CAUSES = (
    "ALTER TABLE incidents ADD COLUMN diagnosis TEXT",
    "ALTER TABLE incidents ADD COLUMN proof TEXT",
    "ALTER TABLE standings ADD COLUMN doubts TEXT",
)

# What is done about incidents: a remedy, its steps with what was intended and what came of it, and the red switch.
_REMEDIES = (
    """CREATE TABLE remedies (
        id TEXT PRIMARY KEY, service TEXT NOT NULL, incident TEXT NOT NULL, playbook TEXT NOT NULL, about TEXT NOT NULL,
        cause TEXT NOT NULL, why TEXT NOT NULL, costs TEXT NOT NULL, proved_by TEXT NOT NULL, by_whom TEXT NOT NULL,
        state TEXT NOT NULL, target TEXT NOT NULL, before TEXT NOT NULL, back_to TEXT NOT NULL, deploys INTEGER NOT NULL,
        asked_us INTEGER NOT NULL, began_us INTEGER, ended_us INTEGER, outcome TEXT NOT NULL, proof TEXT,
        holder TEXT NOT NULL, held_until_us INTEGER)""",
    # One service, one remedy at a time: the file itself says so.
    "CREATE UNIQUE INDEX remedies_open ON remedies (service) WHERE ended_us IS NULL",
    "CREATE INDEX remedies_by_time ON remedies (asked_us)",
    """CREATE TABLE steps (
        remedy TEXT NOT NULL REFERENCES remedies (id) ON DELETE CASCADE, n INTEGER NOT NULL, what TEXT NOT NULL,
        says TEXT NOT NULL, args TEXT NOT NULL, state TEXT NOT NULL, at_us INTEGER, ended_us INTEGER, said TEXT NOT NULL,
        PRIMARY KEY (remedy, n))""",
    "CREATE TABLE switches (name TEXT PRIMARY KEY, is_stopped INTEGER NOT NULL, by_whom TEXT NOT NULL, at_us INTEGER)",
)

# Since when it has not been well this time: what is waited for is counted from there.
_FALLS = ("ALTER TABLE incidents ADD COLUMN fell_us INTEGER",)

# What the seven criteria have shown after a remedy.
_SOAKS = ("ALTER TABLE remedies ADD COLUMN soak TEXT",)

# What variables were before a remedy wrote them, sealed with a key that is not in this file (`undo`).
_SEALED = (
    """CREATE TABLE sealed (
        id INTEGER PRIMARY KEY, remedy TEXT NOT NULL REFERENCES remedies (id) ON DELETE CASCADE, at_us INTEGER NOT NULL,
        salt BLOB NOT NULL, token BLOB NOT NULL)""",
    "CREATE INDEX sealed_by_remedy ON sealed (remedy, id)",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _CAUSES, _REMEDIES, _FALLS, _SOAKS, _SEALED)
