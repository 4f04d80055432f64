"""The names of what can be wrong with a variable: a sentence each, and whether it will not work (error) or works badly (advice).

A name is stable: programs, the API and the incident's story use it. `python -m everwake.doctor.tables` writes the docs from here.
"""

__all__ = ["PROBLEMS", "is_error", "meaning"]

_ERROR, _ADVICE = True, False

# Name -> (is it an error where the rule does not say otherwise, what it means).
PROBLEMS: dict[str, tuple[bool, str]] = {
    "angle_brackets_left": (_ERROR, "< and > of a template still stand round the value"),
    "bad_type": (_ERROR, "the value cannot become what its reader needs"),
    "bind_loopback": (_ERROR, "the service listens where only its own machine can reach it"),
    "bom": (_ERROR, "the file begins with an invisible mark, which becomes a part of the first name"),
    "compose_hostname": (_ERROR, "the host exists only among the containers of a compose file"),
    "credential_path_missing": (_ERROR, "the file of credentials is not where the service runs"),
    "crlf": (_ERROR, "Windows line ends, of which this reader keeps a carriage return in every value"),
    "debug_in_production": (_ADVICE, "debugging is on where people use the service"),
    "default_secret": (_ADVICE, "a secret that everybody knows"),
    "double_escaped_newline": (_ERROR, "line ends of a key were escaped twice"),
    "duplicate_key": (_ERROR, "the variable is there more than once"),
    "empty_value": (_ERROR, "the variable is there, but empty"),
    "export_prefix": (_ERROR, "this reader takes the word export for a part of the name"),
    "hash_in_unquoted_value": (_ERROR, "what follows the # is taken for a comment"),
    "heap_over_memory": (_ERROR, "the heap may grow beyond the memory of the instance, which is then killed"),
    "inline_comment_in_value": (_ERROR, "the comment behind the value is read as a part of it"),
    "insecure_scheme": (_ADVICE, "http or ws where https or wss belongs"),
    "ipv6_only_host": (_ERROR, "the host has an IPv6 address only, which many platforms cannot reach"),
    "json_escaped_quotes": (_ERROR, "quotes within JSON are written with a backslash that nobody takes away"),
    "json_trailing_garbage": (_ERROR, "something is left before or after the JSON"),
    "json_where_comma_list_expected": (_ERROR, "a JSON list where the reader splits at commas"),
    "k8s_service_link": (_ERROR, "Kubernetes wrote this variable for a service of that name"),
    "leading_whitespace": (_ADVICE, "blanks before the value"),
    "literal_backslash_n": (_ADVICE, "a backslash and an n where a line end belongs"),
    "localhost_in_production": (_ERROR, "a host that can be reached on one machine or in one private network only"),
    "misspelled_key": (_ERROR, "the name is a slip of the one that is read"),
    "missing_key": (_ERROR, "the variable is needed and absent"),
    "missing_path": (_ADVICE, "the URL lacks a path that is needed"),
    "missing_scheme": (_ERROR, "the URL does not begin with its scheme"),
    "missing_sslmode": (_ERROR, "the database demands TLS, and the URL does not ask for it"),
    "nested_quotes": (_ERROR, "two pairs of quotes, of which one stays in the value"),
    "non_ascii_char": (_ERROR, "a character that only looks like the right one, or cannot be seen"),
    "not_json_list": (_ERROR, "not the JSON that its reader wants"),
    "origin_forgets_sibling": (_ADVICE, "a page of the fleet is not in the list of origins"),
    "path_overridden": (_ERROR, "the search path lost the system's own folders"),
    "pem_newlines_lost": (_ERROR, "a PEM key without its line ends"),
    "placeholder": (_ADVICE, "a template's text where a value belongs"),
    "pooler_user_missing_ref": (_ERROR, "the pooler needs the project in the user's name"),
    "port_overridden": (_ADVICE, "the platform chooses the port itself"),
    "python_version_no_patch": (_ERROR, "a Python version of less than three parts"),
    "quotes_in_value": (_ERROR, "quotes are a part of the value"),
    "scheme_in_host_field": (_ERROR, "a URL where only a host, or only a path, belongs"),
    "secret_in_browser": (_ADVICE, "a secret that is built into what every visitor downloads"),
    "secret_in_repository": (_ADVICE, "a secret in a file that is kept under version control"),
    "service_loop": (_ERROR, "the service is told to call itself"),
    "smart_quotes": (_ERROR, "curly quotes, which no program takes for quotes"),
    "spaces_around_equals": (_ERROR, "blanks round the =, which this reader keeps or refuses"),
    "tls_not_supported": (_ERROR, "the server speaks without TLS there"),
    "tls_required": (_ERROR, "the server answers over TLS only"),
    "trailing_newline": (_ERROR, "a line end behind the value or within it"),
    "trailing_slash_origin": (
        _ERROR,
        "an origin with more than scheme, host and port is never equal to what a browser sends",
    ),
    "trailing_whitespace": (_ADVICE, "blanks behind the value"),
    "unencoded_password": (_ERROR, "a password in a URL with characters that end it"),
    "unquoted_spaces": (_ERROR, "a value that this reader wants in quotes"),
    "unsupported_url_param": (_ERROR, "a parameter of the URL that the library refuses"),
    "version_not_offered": (_ERROR, "a version that the platform does not offer"),
    "wildcard_with_credentials": (_ERROR, "any origin together with credentials, which browsers refuse"),
    "wrong_key_name": (_ERROR, "the program reads the value under another name"),
    "wrong_port": (_ERROR, "a port at which nobody looks, or nobody listens"),
    "wrong_scheme": (_ERROR, "a scheme that the reader does not speak"),
    "wrong_sibling_host": (_ERROR, "an address of another service that is not its address"),
    "wrong_user": (_ERROR, "a user that the server does not know"),
}


def is_error(problem: str) -> bool:
    """Whether it will not work, where the rule that found it did not say."""
    return PROBLEMS[problem][0]


def meaning(problem: str) -> str:
    """What the name says, in one sentence without a full stop."""
    return PROBLEMS[problem][1]
