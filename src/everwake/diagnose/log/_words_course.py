"""The words of platforms about a service's life, of what only follows from something, and of whatever else breaks. Data."""

from everwake.diagnose.log._pattern import says
from everwake.diagnose.log.signs import SignKind as K

__all__ = ["COURSE"]

_METHODS = "get /|post /|put /|patch /|delete /|head /"


def _status(shape: str, *codes: int) -> str:
    return "|".join(shape.format(code) for code in codes)


COURSE = (
    # platforms at fault
    says(
        K.PLATFORM,
        "scheduling failure|unable to schedule|insufficient resources available|could not reserve resource|"
        "no capacity|insufficient capacity|"
        "platform error|internal platform|error h99|code=h99|host unreachable - machine|evicted|"
        "node is not ready|failed scheduling|failedscheduling|not enough capacity|service disruption|"
        "r99 (platform error)|failed to launch vm",
    ),
    says(
        K.QUOTA,
        "free instance hours|free dyno hours|quota limit|usage limit exceeded|trial has expired|"
        "trial has ended|run out of credits|out of credits|credits have been|"
        "spending limit|free tier limit|exceeded the free|monthly limit|free usage exceeded|pipeline minutes|"
        "build minutes",
    ),
    says(
        K.RESUMED,
        "service resumed|has been resumed|service unsuspended|has been unsuspended|no longer suspended|resumed by",
    ),
    says(K.SUSPENDED, "service suspended|has been suspended|account suspended|suspended by|is suspended"),
    says(K.MAINTENANCE, "maintenance mode|code=h80|error h80"),
    says(
        K.TUNNEL,
        "failed to dial to edge|unable to reach the origin service|err_ngrok_|tunnel connection failed|"
        "tunnel not found|failed to serve tunnel|register tunnel error|tunnel credentials|argo tunnel",
    ),
    says(
        K.NO_WEB,
        "no web processes running|code=h14|web process type|no machines in group|scaled to 0|"
        "couldn't find that process type|no running instances",
    ),
    says(
        K.SUPERSEDED,
        "deploy cancelled|deploy canceled|superseded|canceled: another|cancelled: another|newer deploy|"
        "deployment was canceled|another deploy started|deploy was cancelled|deploy was canceled",
    ),
    # a dependency that is there (again)
    says(
        K.DEPENDENCY_READY,
        "connected|established|initialized|initialised|ready|restored|recovered|connection ok|connection successful|"
        "successful connection|succeeded|is back",
        "redis|valkey|keydb|upstash|postgres|mysql|mariadb|mongo|database|prisma|sequelize|typeorm|sqlalchemy|"
        "db |supabase|openai|anthropic|gemini|upstream|rabbitmq|amqp|kafka|retry|retri|attempt",
        without="disconnected|not connected|not ready|not initiali|error|fail|refused|unable|cannot|could not|can't|lost|"
        "already|listening|server |running on|waiting|retrying|not configured|without|ready check|skip|closed|timed out",
    ),
    # life at the platform: what only follows
    says(
        K.BOOT_TIMEOUT,
        "error r10|boot timeout|failed to bind to $port|failed to start and listen on the port|"
        "failed to start and then listen|code=h20",
    ),
    says(
        K.REFUSED_BY_PROXY,
        "instance refused connection|is your app listening|not listening on the expected address|"
        "deploymenttargetport|connection dial error|target port",
    ),
    says(
        K.PORT_TIMEOUT,
        "port scan timeout|port scan timed out|no open ports detected. bind|no open http ports detected. |"
        "failed to detect any open ports|no open ports were detected",
    ),
    says(K.PORT_SCAN, "no open ports|bind your service to at least one port|continuing to scan"),
    says(
        K.HEALTH_TIMEOUT,
        "timed out after waiting for internal health check|waiting for internal health check|"
        "timed out after waiting for health|healthcheck timeout|health check timeout|"
        "launch timed out|timeout waiting for health|health checks timed out|timeout reached waiting for health",
    ),
    says(
        K.LOOPING,
        "crashloopbackoff|back-off restarting|max restart count|restarting too fast|stuck_crashlooping|"
        "crash loop|crash-loop|crashlooping|too many restarts|start request repeated too quickly|"
        "restart policy|too many crashes|reboot: restarting system",
    ),
    says(
        K.CRASHED,
        "code=h10|app crashed|state changed from starting to crashed|state changed from up to crashed|"
        "to crashed|unhandled 'error' event|machine exited unexpectedly|container crashed",
    ),
    says(
        K.REQUEST_TIMEOUT,
        "code=h12|request timeout|code=h13|code=h18|code=h15|error h12|code=h27|upstream request timeout|504 gateway",
    ),
    says(
        K.NO_CANDIDATE,
        "could not find a good candidate|[pr0|[pc0|[pu0|[pm0|no healthy upstream|no known healthy instances|"
        "error pr0|could not proxy http request|could not complete http request to instance|"
        "no healthy instance",
    ),
    says(
        K.HEALTH_FAILED,
        "health check failed|healthcheck failed|health check failing|readiness probe failed|"
        "liveness probe failed|startup probe failed|health check on port|failed health check|"
        "unhealthy: http|failed with service unavailable|failing health check|health checks failing|"
        "health check is failing|attempt #",
        "health|probe|unhealthy|service unavailable|attempt",
    ),
    says(K.WORKER_TIMEOUT, "worker timeout|worker failed to boot within|worker (pid", without="(pid: "),
    says(K.UNHEALTHY, "instance is unhealthy|became unhealthy|is now unhealthy|attempting recovery"),
    says(
        K.HEALTHY,
        "instance is healthy|all health checks are passing|health checks passing|health check passed|"
        "healthcheck succeeded|became healthy|is now healthy|is healthy|health check succeeded|"
        "health checks passed|state changed from starting to up",
    ),
    says(
        K.SIGTERM,
        "sigterm|stopping container|scaled down replica|signal 15|stopping all processes|signal: terminated|"
        "exited with status 143|code 143|"
        "status 143|received signal: term|virtual machine exited|sending signal sigint|sigint|"
        "exit status 143|exit code 143|exit code: 143",
    ),
    says(
        K.EXITED_EARLY,
        "exited early|application exited early|main child exited normally with code: 0|completed successfully without",
        "exit|success",
    ),
    says(
        K.EXIT,
        "exited with status|exited with code|exit status|exit code|exited with non-zero|process exited|"
        "exited normally with code|runtime.exiterror|exited with error|elifecycle|terminated with exit|"
        "exited (1)|container exited",
    ),
    says(
        K.IDLING,
        "heroku[web.1]: idling|: idling|idling|going to sleep|scaling to zero|scale to zero|deep sleep|"
        "autostop|downscaling app|has excess capacity, autostopping|is sleeping|stopping due to inactivity",
    ),
    says(K.WAKING, "unidling|starting machine|waking up|service waking|waking"),
    says(K.CYCLING, "cycling"),
    # the course of life
    says(
        K.LIVE,
        "your service is live|deployed to production|deploy live|service is live|is now live|"
        "update finished: success|deployment successful|deployment complete|has been deployed",
    ),
    says(
        K.PORT_FOUND,
        "detected service running on port|new primary port detected|found open port|detected new open port",
    ),
    says(K.BUILT, "build successful|build succeeded|build complete|build completed|successfully built|uploaded in"),
    says(
        K.LISTENING_LOOPBACK,
        "listening|running on|running at|started|bind",
        "127.0.0.1:|http://localhost:|on localhost|//127.0.0.1",
        without="debugger|.fly|target|proxy|[fdaa|tracker|worker|redis|connected to",
    ),
    says(
        K.LISTENING,
        "listening at|listening on|is listening|server listening|uvicorn running on|running on http|"
        "running at http|server running on|server started|server is running|listening for|server running|"
        "listening at:|"
        "application startup complete|started server on|ready on|ready in|started application in|"
        "tomcat started|netty started|puma starting|listening to|app listening|running on port|serving on|"
        "serving http|now listening|running on all addresses|booted|server ready|running at:|started on port|"
        "server launched|started server process",
        without="debugger listening|make sure|please|/.fly/api|]:22 |]:22|is your app listening|api proxy|hallpass|"
        "not listening",
    ),
    says(
        K.SHUTTING_DOWN,
        "shutting down|shutdown complete|waiting for application shutdown|finished server process|"
        "graceful shutdown|gracefully stopping|handling signal: term|stopping server|server stopped|"
        "server closed",
        without="crash|error",
    ),
    says(K.DEPLOYING, "==> deploying|deploy ", without="docs|troubleshoot|deploy failed|common ways|your deploy"),
    says(K.DEPLOYING, "heroku[api]: release|release v|rolling deploy|starting deploy|creating release|deploying"),
    says(
        K.CONNECTING_DATABASE,
        "connecting to|waiting for|connect to",
        "mongo|postgres|database|mysql|db",
        without="connected",
    ),
    says(K.CONNECTING_REDIS, "connecting to|waiting for|connect to", "redis|valkey", without="connected"),
    says(
        K.STARTING,
        "==> running '|starting process with command|starting container|starting init|"
        "starting virtual machine|starting service|instance created|instance is starting|starting gunicorn|"
        "state changed from crashed to starting|state changed from down to starting|preparing to run|"
        "booting worker|starting development server|starting server|container start",
    ),
    says(K.SERVER_ERROR, '" 500|" 502|" 503|" 504|" 501', without='" 5000'),
    says(K.SERVER_ERROR, "500 internal server error|status=500|internal server error"),
    says(K.SERVED, '" 200|" 201|" 204|" 302|" 304|" 301|" 206'),
    # access lines without quotes, as most runtimes but those of Python write them
    says(K.SERVED, _status(" {}", 200, 201, 204, 206, 301, 302, 304), _METHODS, without="error|fail|health check"),
    says(K.SERVED, _status('status={0}|status: {0}|status":{0}|statuscode":{0}|code={0}', 200, 201, 204, 302, 304)),
    says(K.SERVER_ERROR, _status(" {} ", 500, 502, 503, 504), _METHODS),
    # whatever else breaks
    says(
        K.EXCEPTION,
        "segmentation fault|panic: |thread 'main' panicked|fatal error:|unhandled exception|"
        "uncaught exception|php fatal error|unhandledpromiserejection|unhandled rejection|"
        'exception in thread "main"|application run failed|rails aborted|uncaughtexception|'
        "beancreationexception|applicationcontextexception|unhandled promise|core dumped",
    ),
    says(
        K.EXCEPTION,
        "syntaxerror|typeerror|referenceerror|nameerror|attributeerror|indentationerror|valueerror|"
        "runtimeerror|assertionerror|filenotfounderror|eoferror|nomethoderror|nullpointerexception|"
        "illegalstateexception|improperlyconfigured|recursionerror|oserror|unicodedecodeerror|indexerror|"
        "nosuchelementexception|jsondecodeerror|argumenterror|zerodivisionerror|fileNotFound".lower(),
        without="warn",
    ),
    says(
        K.EXCEPTION,
        "error: listen eacces|failed to start|failed to load|startup failed|application startup failed|"
        "error in app|cannot start|could not start|failed to boot|worker failed to boot|failed to run|"
        "error starting",
    ),
    says(K.TRACEBACK, "traceback (most recent call last)|exception in worker process|exception in asgi application"),
    says(K.EXCEPTION, "uncaught|throw err|throw er;"),
    says(
        K.EXCEPTION,
        "error",
        'error:|exception:|err!|level":"error|level": "error|level=error',
        without="warn|x-render|docs",
    ),
    says(K.EXCEPTION, 'level=fatal|level":"fatal'),
)
