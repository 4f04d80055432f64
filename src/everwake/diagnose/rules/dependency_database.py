"""It cannot reach its database, or is not let in."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_signs, surest
from everwake.diagnose.rules._store import FOLLOWS, no_way_to

__all__ = ["RULE", "explain"]

NEXT = "Try the database's URL with a client of your own: host, port, user, password, allowed addresses, TLS."
WORDS = ("database", "db", "postgres", "mongo", "mysql", "sql", "prisma", "supabase")


def explain(facts: Facts) -> Finding | None:
    """Lines of a driver that does not get through, a health document that says so, or silence after the attempt."""
    serves = facts.log is not None and facts.log.has(K.LISTENING, K.SERVED, K.SERVER_ERROR)
    return surest(
        by_signs(
            facts, (K.DATABASE_AUTH,), 0.86, "Compare user, password and database name with the server's.", "ask-person"
        ),
        *no_way_to(facts, K.DATABASE, K.CONNECTING_DATABASE, WORDS, NEXT, is_redis=False),
        by_signs(
            facts, (K.DATABASE_SCHEMA,), 0.45 if serves else 0.6, "Run the migrations before the start.", "ask-person"
        ),
    )


RULE = Rule(
    cause="dependency_database",
    explain=explain,
    needs=frozenset({"http", "log"}),
    beats=FOLLOWS | {"dependency_external"},
    examples=(
        {"log": ["MongooseServerSelectionError: Could not connect to any servers in your MongoDB Atlas cluster."]},
        {
            "log": [
                'psycopg2.OperationalError: could not translate host name "dpg-abc-a" to address: Name or service not known',
                "==> Exited with status 1",
            ]
        },
        {"log": ['FATAL:  password authentication failed for user "app"', "==> Exited with status 1"]},
        {"log": ["PrismaClientInitializationError: Can't reach database server at `ep-x.neon.tech`:`5432`"]},
        {
            "log": [
                "com.mysql.cj.jdbc.exceptions.CommunicationsException: Communications link failure",
                "Application run failed",
            ]
        },
        {"log": ["FATAL: remaining connection slots are reserved for non-replication superuser connections"]},
        {"log": ["Connecting to MongoDB...", "==> Exited with status 1"]},
        {
            "http": {
                "url": "https://a.example.com/health",
                "status": 503,
                "body": '{"status":"error","checks":{"database":{"status":"down"}}}',
            }
        },
    ),
    counter_examples=(
        {"log": ["Connected to database", "Server listening on port 10000"]},
        {"log": ["KeyError: 'DATABASE_URL'"]},
    ),
)
