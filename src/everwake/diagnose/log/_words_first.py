"""Words so particular that they are looked for before all others: messages that hold the words of a more general one. Data."""

from everwake.diagnose.log._pattern import says
from everwake.diagnose.log.signs import SignKind as K

__all__ = ["FIRST"]


def _ours(*reasons: str) -> str:
    """What chatify's own services log of their Redis, with its reasons (chatify/redis_client.py)."""
    heads = ("outbox not available: ", "redis does not answer: ")
    return "|".join(f"{head}{reason}" for head in heads for reason in reasons)


FIRST = (
    # our own services
    says(K.REDIS_AUTH, f"{_ours('auth')}|hub.wire_broken auth|hub.wire_broken noperm"),
    says(K.TLS, f"{_ours('tls')}|hub.wire_broken ssl"),
    says(K.REDIS, _ours("refused", "unreachable", "dns", "loading", "read_only", "disconnected")),
    says(K.REDIS, "redis does not answer: "),
    says(K.REDIS, "hub.wire_broken ", without="valueerror|jsondecode"),
    # a request that broke, in a server that goes on
    says(K.SERVER_ERROR, "http: panic serving|panic recovered"),
    # variables
    says(K.MISSING_VARIABLE, "failed to configure a datasource", "attribute is not specified"),
    says(
        K.MISSING_VARIABLE,
        "argumentnullexception|value cannot be null",
        "connectionstring|(parameter 'connection|(parameter 'apikey|(parameter 'secret",
    ),
    says(
        K.MISSING_VARIABLE,
        "jwtstrategy requires a secret|expected string or url object, got none|environment variable not found",
    ),
    says(
        K.MISSING_VARIABLE,
        "environment variable|env variable|env var ",
        "is empty|is blank",
        without="warn|optional|default",
    ),
    # ports below 1024, which only the system's own user opens
    says(
        K.PORT_DENIED,
        "listen eacces|bind() to|listen tcp|bind on address|bind: permission denied|could not bind to address",
        "permission denied",
        "0.0.0.0|[::]:|:::|listen tcp :|127.0.0.1|localhost:",
    ),
    # the first of two attempts is the one that counts: the second is made without TLS because the first was refused
    says(K.DATABASE_AUTH, "password authentication failed", "no pg_hba.conf"),
    says(
        K.DATABASE,
        "hikaripool|psqlexception|mysql.cj|jdbc",
        "exception during pool initialization|connection attempt failed|unknownhostexception",
    ),
    says(K.DATABASE, "timed out fetching a new connection from the connection pool"),
    says(K.DATABASE, "in a read-only transaction|database is in read-only mode|running with the --read-only option"),
    says(K.REDIS, "readonly you can't write against a read only replica"),
    says(
        K.BROKER,
        "amqp|rabbitmq|rdkafka|kafka|pika.exceptions",
        "errno 111|failed to resolve|connection refused|econnrefused|enotfound|no such host|nobrokersavailable|"
        "no brokers available|broker transport failure|amqpconnectionerror|connection timed out|brokers are down",
    ),
    says(
        K.EXTERNAL,
        "twilio|sendgrid|python_http_client",
        " 401|401 |unauthorized|exception: authenticate| 403",
        without="environment variable|http/1",
    ),
    says(K.EXTERNAL, "unable to create record: authenticate|responseerror: unauthorized", without="redis"),
    # builds
    says(K.BUILD, "unable to clone http|unable to clone git@|unable to clone repo|build failure"),
    says(K.IMAGE, "toomanyrequests: |reached your pull rate limit"),
    says(
        K.BUILD_ERROR,
        "error: linker |error: could not compile `|yn0028|no required module provides package|missing go.sum entry|"
        "but your gemfile specified",
    ),
    says(K.BUILD_ERROR, "release version|source release|target release", "not supported|invalid"),
    # the program
    says(K.MODULE_MISSING, "could not locate the query engine|unsupportedclassversionerror"),
    # platforms
    says(K.HEALTH_FAILED, "health check '|health check on", "has failed|is failing|now failing"),
    says(K.HEALTHY, "health check '", "now passing|is passing"),
    says(K.PORT_TIMEOUT, "was not detected", "open ports", "port "),
    says(K.MAINTENANCE, "maintenancemodeexception"),
)
