"""The words that say why: of runtimes, libraries, stores and builds, the more particular first. Data.

Collected from public logs and documents of 2012-2026; each line stands for a meaning, so it names the words that every version
of the message shares, not the message.
"""

from everwake.diagnose.log._pattern import says
from everwake.diagnose.log.signs import SignKind as K

__all__ = ["ROOTS"]

_REDIS = "redis|:6379|upstash|valkey|keydb"
_DATABASE = (
    "postgres|psycopg|asyncpg|pg_hba|mysql|mariadb|mongo|:5432|:3306|:27017|:6543|:1433|`5432`|`3306`|"
    "sequelize|prisma|typeorm|"
    "sqlalchemy|jdbc|hikari|database|pq:|pgx|supabase|neon.tech|activerecord|supavisor|knex|diesel|"
    "dynamodb|cassandra|pdoexception|sqlstate"
)
_EXTERNAL = (
    "openai|anthropic|gemini|generativeai|googleapis|google.api_core|cohere|groq|mistral|huggingface|"
    "replicate|stripe|sendgrid|twilio|mailgun|"
    "openrouter|litellm|deepseek|claude|gpt-|models/|azure|aws|cloudinary|telegram|discord|slack|"
    "firebase|resend|resource_exhausted|"
    "insufficient_quota|pinecone|deepl|mapbox|smtp|api.|provider"
)
_REFUSED = (
    "connection attempts failed|connecterror|fetch failed|und_err|"
    "econnrefused|connection refused|connect call failed|error 111|errno 111|error 61 |actively refused|"
    "connectionrefused|"
    "connection refusederror|failed to connect|could not connect|unable to connect|cannot connect|"
    "can't connect|connection error|"
    "connection timed out|connect etimedout|etimedout|command timed out|connection closed|"
    "connection reset|econnreset|"
    "connection failed|error connecting|failed to connect|enotfound|eai_again|getaddrinfo|"
    "name or service not known|"
    "could not translate host|nodename nor servname|no such host|temporary failure in name resolution|"
    "timeout connecting|"
    "network is unreachable|enetunreach|no route to host|ehostunreach|serverselectiontimeout|"
    "server selection|serverselectionerror|"
    "can't reach database|cannot reach|couldn't connect|connection terminated|"
    "connection is not available|connection lost|"
    "server closed the connection|has gone away|reached the max retries|connection timeout|"
    "connectiontimeout|"
    "operation timed out|i/o timeout|dial tcp|timeout opening|timeouterror|connectionerror|"
    "communications link failure|"
    "failed to obtain jdbc|ready check failed|socket closed unexpectedly|connection unexpectedly|"
    "host not found|timeout expired|"
    "unable to acquire a connection|knex: timeout acquiring|too many connections|too many clients|"
    "queuepool limit|max clients reached"
)
_TLS = (
    "ssl connection error|wrong_version_number|wrong version number|ssl off|no encryption|ssl required|sslmode|"
    "ssl/tls required|does not support ssl|"
    "ssl is not enabled on the server|server does not support ssl|tls required|requires tls|requires ssl|"
    "insecure transport|"
    "certificate verify failed|self signed certificate|self-signed certificate|"
    "unable to verify the first certificate|certificate has expired|"
    "unable to get local issuer|depth_zero_self_signed|certificate signed by unknown authority|"
    "x509: certificate|hostname/ip does not match|"
    "hostname mismatch, certificate|tlsv1 alert|tls handshake|ssl handshake|sslhandshakeexception|"
    "handshake failure|ssl_error|ssl: |"
    "first record does not look like a tls|unsupported protocol|packet length too long|err_ssl|err_tls|"
    "ssl connection has been closed|eproto"
)

ROOTS = (
    # what the edge of another service answered, in the program's own words
    says(
        K.SIBLING,
        "x-render-routing|no-server",
        "://",
        "answered|returned|responded|replied|call to|calling|request to|upstream|proxying|fetching|got 404",
    ),
    # the edge, pasted
    says(K.ROUTING, "x-render-routing"),
    says(K.STARTING, "==> running '|starting process with command|preparing to run: "),
    says(K.BLOCKED, "just a moment|captcha|attention required"),
    # chatter that looks like trouble
    says(K.NOISE, "did not match key and value when parsing line"),
    says(
        K.NOISE,
        "not running as pid 1|error_log|pci: fatal|error waiting for process to terminate|"
        "zombie processes will not|no errors|0 errors|"
        "error-free|without error|errors: 0|on_error|errorhandler|error handler|error_handler|"
        "error reporting|error tracking",
    ),
    says(K.NOISE, "deprecat", "error"),
    says(K.NOISE, "vulnerabilit"),
    says(K.NOISE, "futurewarning|deprecationwarning|userwarning|error level|loglevel"),
    # memory
    says(K.HEAP, "heap out of memory|reached heap limit|allocation failed", without="no space"),
    says(
        K.HEAP,
        "outofmemoryerror|java heap space|gc overhead limit|allowed memory size of|runtime: out of memory|"
        "cannot allocate memory|"
        "unable to allocate|memory allocation of|std::bad_alloc|allocation error|can't allocate memory",
    ),
    says(K.HEAP, "memoryerror", without="no "),
    says(
        K.MEMORY,
        "out of memory|killed process|oom_reaper|ran out of memory|oomkilled|oom-kill|oom killer|oom_kill|memory limit|"
        "memory quota exceeded|exceeded its memory|"
        "memory exceeded|exceeded memory|invoked oom|error r15|(oom)|due to oom|perhaps out of memory|"
        "oom killed|oomkill|exceeded 512|memcg",
        without="no out of memory|memory limit set|memory limit: |memory limit is|memory limit for|memory limit =",
    ),
    says(
        K.KILLED,
        "terminated due to signal 9|signal 9|sigkill|signal: killed|exited with signal kill|killed by signal|"
        "was sent sigkill",
        without="stopping process with sigkill|stopping all processes",
    ),
    # variables
    says(K.MISSING_VARIABLE, "invalid environment variables|zoderror|invalid env", "required|undefined"),
    says(K.MISSING_VARIABLE, 'received": "undefined|received undefined|secretnotfounderror|no secrets found'),
    says(K.MISSING_VARIABLE, "no application encryption key|missingappkeyexception"),
    says(K.MISSING_VARIABLE, "neither ", "is set|are set|provided|was set"),
    says(
        K.BAD_VARIABLE,
        "invalid service account certificate|must be escaped|invaliduri|unescaped characters|invalid ssl cert requirements",
    ),
    says(K.BAD_VARIABLE, "mistake in the variables|mistakes in the variables|variables cannot be used"),
    says(K.BAD_VARIABLE, "$port", "not a valid|invalid value|invalid port|invalid literal"),
    says(K.BAD_VARIABLE, "must be a number|must be an integer|must be a valid port|must be a valid url", "port|url|_"),
    says(K.BAD_VARIABLE, "no support for '|unsupported database", "improperlyconfigured|database"),
    says(K.BAD_VARIABLE, "error parsing value for field|settingserror|decode_complex_value"),
    says(K.BAD_VARIABLE, "validation error for ", "settings|config|env", without="request"),
    says(K.BAD_VARIABLE, "validation errors for ", "settin|config|env", without="request"),
    says(
        K.BAD_VARIABLE,
        "nosuchmoduleerror|can't load plugin: sqlalchemy",
    ),
    says(
        K.BAD_VARIABLE,
        "could not parse rfc1738|could not parse sqlalchemy url|invalid dsn|invalid connection string|"
        "invalid connection option|"
        "invalid scheme|must start with|invalid url|err_invalid_url|error validating datasource|"
        "url must use|invalid uri|mongoparseerror|malformed connection|unsupported scheme|unknown scheme|"
        "the provided database string is invalid|"
        "redis url must specify|invalid port|port should be >= 0|port could not be cast|err_socket_bad_port|"
        "missing protocol scheme|invalid database url|database string is invalid|unknown database type|"
        "dialect needs to be explicitly",
    ),
    says(
        K.BAD_VARIABLE,
        "failed to initialize a certificate credential|failed to parse private key|no key could be detected|"
        "could not deserialize key|invalid pem|error:0909006c|error:1e08010c|decoder routines::unsupported|"
        "pem routines|"
        "failed to parse service account|service account object must contain|err_ossl_unsupported|"
        "asn1 encoding routines|invalid private key",
    ),
    says(
        K.BAD_VARIABLE,
        "illegal header value|invalid header value|invalid character in header content|err_invalid_char|"
        "not a legal http header|not a legal header",
    ),
    says(
        K.BAD_VARIABLE,
        "codec can't encode|ordinal not in range|cannot convert argument to a bytestring",
        "openai|api|header|latin-1|bytestring|key",
    ),
    says(K.BAD_VARIABLE, "disallowedhost|invalid http_host header|allowed_hosts"),
    says(
        K.BAD_VARIABLE,
        "must provide a major, minor, and patch|is not a valid python version|unable to find python version|"
        "could not find python|"
        "the python_version|python version",
        "version",
        without="using python version|default|docs on",
    ),
    says(
        K.BAD_VARIABLE,
        "invalid literal for int|could not convert string to float|invalid boolean|strconv.|"
        "numberformatexception|parseinterror|not a valid value for",
        "environ|getenv|env|port|config|settings|tcp://|invalid literal|parsing",
    ),
    says(
        K.BAD_VARIABLE,
        "invalid environment variable|environment variable|env var|env variable|envvar|invalid env",
        "invalid|malformed|must be|not a valid|expected|could not parse|cannot parse|wrong",
        without="not set|missing|undefined|is required|must be set|must be provided|must be defined",
    ),
    says(K.BAD_VARIABLE, "extra inputs are not permitted|extra_forbidden"),
    says(
        K.MISSING_VARIABLE,
        "improperlyconfigured",
        "secret_key|setting must not be empty|environment|set the|database_url",
    ),
    says(
        K.MISSING_VARIABLE,
        "credentials were not found|defaultcredentialserror|could not load the default credentials|"
        "unable to locate credentials|"
        "no credentials|missing credentials|credentials could not be|credentials not found|"
        "unable to load credentials",
    ),
    says(
        K.MISSING_VARIABLE,
        "api key provided: undefined|api key provided: null|api key provided: none|api key provided: ''|"
        "api_key client option must be set|"
        "api key is missing|missing api key|no api key|api key not found|api key not set|api_key is missing|"
        "api key must be|"
        "you didn't provide an api key|apikey is required|api key required|api key is required|"
        "apikey is missing|expected a string for the `apikey`",
    ),
    says(
        K.MISSING_VARIABLE,
        "must be set|is not set|not set|is required|required|missing|is undefined|not defined|"
        "must be provided|must be defined|is not configured|not found|unset|not configured|cannot be empty|"
        "must not be empty|not provided",
        "environment variable|env var|env variable|environment:|envvar|process.env|environ[|"
        "required environment|from the environment|in the environment|in environment|.env file|missing env|"
        "required env",
        without="optional|warn|using default|default value|as default|falling back|will not work|skipping|"
        "command not found",
    ),
    says(K.MISSING_VARIABLE, "required key ", "missing value"),
    says(K.MISSING_VARIABLE, "keyerror: '|keyerror: \""),
    says(
        K.MISSING_VARIABLE,
        'undefinedvalueerror|environmentnotfound|envnotfound|key not found: "|key not found in env|'
        "missing required environment|environ error|environmentvariablenotfound|"
        "environment variable not found|envvar.notfound|could not resolve placeholder|notpresent|"
        "missing required env",
    ),
    says(
        K.MISSING_VARIABLE,
        "uri` parameter to|uri parameter to `openuri|secretorprivatekey must have a value|"
        "supabaseurl is required|supabasekey is required|secret option required|"
        "expected string or bytes-like|"
        "neither apikey nor config.authenticator|an invalid token was provided|missing `secret_key_base`|"
        "secret_key_base",
        without="warn",
    ),
    says(
        K.MISSING_VARIABLE,
        "must be set|is not set|is missing|is required|must be provided|not configured|missing required|"
        "not defined|is undefined",
        "_url|_key|_token|_secret|_uri|_host|_password|_user|_id ",
        "error|fatal|panic|throw|raise|exception|missing",
        without="warn|optional|using default|as default|column|validationerror for",
    ),
    says(K.MISSING_VARIABLE, "field required", "type=missing"),
    # keys of others
    says(
        K.KEY_REFUSED,
        "auth/invalid-api-key|telegram.error.invalidtoken|was rejected by the server|improper token has been passed|"
        "token must contain a colon|tokeninvalid|telegram.error.unauthorized|invalid_token",
    ),
    says(
        K.KEY_REFUSED,
        "incorrect api key|invalid api key|invalid_api_key|api key not valid|api_key_invalid|"
        "openai.authenticationerror|anthropic.authenticationerror|invalid x-api-key|"
        "invalid authentication credentials|api key expired|unauthorized: invalid token|no api key found|"
        "api key is invalid|invalid api token|token is invalid",
        without="redis|mongo|postgres",
    ),
    # TLS to what it depends on, before the general failures
    says(
        K.TLS,
        _TLS,
        without='mixed content|tls: using|tls handshake timeout|listening|sslmode=require"|ssl: true|ssl: enabled|'
        "using ssl",
    ),
    # redis
    says(K.REDIS, "store does not work", "connection|refused|disconnected|timed out|redis", without="sqlite"),
    says(K.REDIS, "clientclosederror|misconf redis"),
    says(K.KILLED, "killed  ", "line "),
    says(
        K.REDIS_LIMIT,
        "max requests limit exceeded|max daily request limit|maxmemory|max number of clients reached|"
        "oom command not allowed",
        without="maxmemory-policy",
    ),
    says(
        K.REDIS_AUTH,
        "wrongpass|noauth|noperm|invalid username-password pair|authentication required|err auth|"
        "client sent auth|invalid password",
        without="mongo|postgres|pq:|scram",
    ),
    # mail and storage that do not let it in, before the databases, which say it in the same words
    says(
        K.EXTERNAL,
        "smtpauthenticationerror|username and password not accepted|535-5.7|535 5.7|(535, |invalid login: 5|"
        '535 authentication|535 incorrect authentication|code: \'eauth\'|code": "eauth|code":"eauth|'
        "smtp authentication failed|could not authenticate smtp|smtp error: could not authenticate",
    ),
    says(
        K.EXTERNAL,
        "invalidaccesskeyid|signaturedoesnotmatch|invalidclienttokenid|unrecognizedclientexception|"
        "aws access key id you provided|request signature we calculated|security token included in the request is|"
        "expiredtoken|nosuchbucket|aws::s3::errors|api error accessdenied|"
        "(accessdenied) when calling",
    ),
    # databases: not let in
    says(
        K.DATABASE_AUTH,
        "password authentication failed|access denied for user|bad auth|authentication failed|no pg_hba.conf|"
        "tenant or user not found|"
        'role "|p1000|scramfailed|sasl: scram|auth failed|er_access_denied|login failed for user|28p01|'
        "3d000|unknown database",
        without="redis|smtp|openai|firebase|git|github|token",
    ),
    says(K.DATABASE_AUTH, 'database "', "does not exist"),
    says(
        K.DATABASE,
        "sqlstate[hy000] [2002]|sqlstate[hy000] [2006]|sqlstate[08006]|sqlstate[08001]|"
        "could not translate host name|connection to server at|jdbcconnectionexception|sqltransientconnection",
    ),
    says(K.DATABASE, "connection to ", ":5432|:3306|:1433|:27017", "refused|failed|timed out"),
    says(
        K.DATABASE_SCHEMA,
        'no such table|undefinedtable|p2021|er_no_such_table|no such column|undefinedcolumn|relation "|'
        "base table or view not found|unknown column",
        without="already exists",
    ),
    says(
        K.DATABASE,
        "remaining connection slots|too many clients already|sorry, too many clients|max_connections|"
        "ip that isn't whitelisted|isn't whitelisted|ip whitelist|mongooseserverselectionerror|"
        "mongonetworkerror|mongoserverselectionerror|"
        "replicasetnoprimary|p1001|p1002|p1017|sequelizeconnection|the database system is starting up|"
        "recovery mode|buffering timed out|"
        "operationalerror|databaseerror|serverselectiontimeouterror|cannotconnectnowerror|pool timed out|"
        "could not connect to server",
    ),
    says(K.REDIS, _REFUSED, _REDIS),
    says(
        K.REDIS,
        "redis.exceptions|maxretriesperrequesterror|reached the max retries per request|busy loading|"
        "loading redis is loading|redis::cannotconnecterror",
    ),
    says(K.REDIS, "redis", "error|fail|unavailable|unreachable", without="initiali|no error"),
    says(K.DATABASE, _REFUSED, _DATABASE),
    says(
        K.DATABASE,
        "failed to initiali|unable to open|cannot open|database connection",
        "database",
        "fail|error|unable|cannot",
    ),
    # other people's APIs
    says(
        K.EXTERNAL,
        "insufficient_quota|exceeded your current quota|rate_limit_exceeded|ratelimiterror|"
        "resource_exhausted|resourceexhausted|overloaded_error|"
        "quota exceeded|rate limit reached|credit balance is too low|billing hard limit|model_not_found|"
        "has been deprecated and|"
        "is not found for api version|model_decommissioned|decommissioned|"
        "does not exist or you do not have access|too many requests for|payment required|"
        "error code: 429|status code 429|429 too many requests|api rate limit exceeded|insufficient balance|"
        "insufficient credit|account is not active|"
        "rate limit exceeded|quota_exceeded|this model is currently overloaded|service_unavailable_error|"
        "terminated by other getupdates",
        without="http/1",
    ),
    says(
        K.EXTERNAL,
        _REFUSED + "|unavailable|error 503|error 502|error 500|error 403|error 401|error 404|status code 5|"
        "status code 4|error code: 5|error code: 4|forbiddenerror|notfounderror",
        _EXTERNAL,
        without="environment|keyerror|listening|cannot find module",
    ),
    says(
        K.SIBLING,
        "request failed with status code 5|axioserror|fetcherror: request to|httpx.connecterror|httpx.connecttimeout|"
        "httpx.readtimeout|maxretryerror|requests.exceptions.connectionerror|upstream request failed|aiohttp.client_exceptions",
        without="status code 4",
    ),
    says(
        K.SIBLING,
        _REFUSED + "|status code 502|status code 503|status code 504|bad gateway|service unavailable|error 502|"
        "error 503|fetch failed",
        ".onrender.com|.railway.internal|.internal:|upstream|auth service|backend|chatbot|microservice|"
        "proxy_pass|econnrefused|http://|https://",
        without="openai|is your app listening|sqlalche|mirror|registry|x-render",
    ),
    says(K.CORS, "blocked by cors|cors policy|disallowed cors|not allowed by cors|cors error"),
    # build
    says(
        K.BLUEPRINT,
        "render.yaml file was found, but there was an issue|simultaneously specify fields|"
        "must be from group or have a key",
    ),
    says(
        K.IMAGE,
        "imagepullbackoff|errimagepull|image_pull_failed|failed to pull image|pull access denied|"
        "manifest unknown|image pull failed|error pulling image|no matching manifest|image not found|"
        "unable to pull image|could not pull image",
    ),
    says(
        K.BUILD,
        "build failed|failed to build|build error|build_failed|failed to solve|executor failed running|"
        "push rejected|pre-receive hook declined|"
        "failed to compile|error during build|build step failed|building failed|build timed out|"
        "image build failed|error building|root directory",
        without="build failed due to cached",
    ),
    says(
        K.BUILD_ERROR,
        "no matching distribution found|could not find a version that satisfies|"
        "could not open requirements file|subprocess-exited-with-error|"
        "metadata-generation-failed|failed building wheel|resolutionimpossible|npm err! code eresolve|"
        "npm error code eresolve|eresolve|npm err! code eintegrity|error ts|"
        "err_pnpm_outdated_lockfile|frozen-lockfile|compilation failed|could not compile|error[e0|"
        "undefined reference to|bundler could not|could not find gem|"
        "cannot find module @rollup|cannot find module '@rollup|failed to resolve import|nixpacks|"
        'error: failed to fetch|command "npm run build" exited|'
        "returned a non-zero code|did not complete successfully|unsupported engine|node-gyp|"
        "couldn't find any pages|module not found: error|lifecycle script `build`|"
        "cannot find project or solution|"
        "no such file or directory: 'requirements.txt'|failed to install|read-only file system (os error 30)",
        without="warn",
    ),
    # the program
    says(
        K.ENTRY_MISSING,
        "missing script|could not find a production build|no start command|no command to run|"
        "could not import module|error loading asgi app|"
        'failed to find attribute|attribute "app" not found|'
        "no module named uvicorn|could not locate a flask application|no such command|unknown command|"
        "unable to access jarfile|no start script|cannot find main|"
        "could not find or load main class|no main manifest|failed to find application object|no procfile|"
        "application object must be callable|procfile declares no|"
        "can't find '__main__'|no_app_file|no app file|can't open file|startup command|package.json: no such|"
        "could not read package.json|"
        "enoent: no such file or directory, open '/opt/render/project/src/package.json|"
        "missing required argument",
    ),
    says(
        K.MODULE_MISSING,
        "modulenotfounderror|no module named|cannot find module|err_module_not_found|cannot find package|"
        "module_not_found|importerror|"
        'loaderror|cannot load such file|classnotfoundexception|noclassdeffounderror|class "|'
        "err_package_path_not_exported|cannot open shared object|"
        "error while loading shared libraries|failed opening required|glibc_|cannot import name|"
        "err_require_esm|does not provide an export",
        without="warn",
    ),
    says(
        K.PATH_BROKEN,
        "mkdir: command not found|ls: command not found|cat: command not found|sed: command not found|"
        "grep: command not found|dirname: command not found|cp: command not found|rm: command not found|"
        "chmod: command not found|env: command not found|sleep: command not found|which: command not found",
    ),
    says(
        K.COMMAND_MISSING,
        "command not found|executable file not found|no such file or directory",
        "command not found|exec|not found|/bin/|start|sh:|bash:|starting container|entrypoint|.sh",
    ),
    says(K.COMMAND_MISSING, ": not found", "sh: |line "),
    says(
        K.COMMAND_MISSING,
        "exec format error|cannot execute binary|bad interpreter|no such file or directory (os error 2)|"
        "executable not found",
    ),
    says(
        K.ADDRESS_IN_USE,
        "eaddrinuse|address already in use|port is already allocated|port is already in use|"
        "port already in use|was already in use|is already being used|only one usage of each socket",
    ),
    says(
        K.PERMISSION,
        "permission denied|operation not permitted|eacces|permissionerror|eperm|read-only file system|erofs|"
        "accessdeniedexception|no space left on device|enospc",
        without="publickey|select|relation|redis",
    ),
    says(K.MIGRATION, "migrat", "error|fail|abort|could not|cannot", without="no error|0 error"),
    says(K.MIGRATION, "multiple head revisions|can't locate revision|p3009|p3018|p3005|failed migrations"),
)
