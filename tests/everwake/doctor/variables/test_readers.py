"""Where readers disagree, and what each gets, without a word of the value."""

from everwake.doctor.variables.readers import differences, understood


def test_a_file_that_all_read_alike_has_no_differences() -> None:
    assert differences("# a\nMODE=fast\nSIZE=2\n") == ()


def test_quotes_are_kept_by_docker_only() -> None:
    (one,) = differences('TITLE="My shop"\n')
    assert (one.key, one.line) == ("TITLE", 1)
    kept = {reader for reader, words in one.gets.items() if words == "the value with its quotes"}
    assert kept == {"docker run --env-file"}


def test_a_hash_ends_the_value_for_some() -> None:
    (one,) = differences("PIN=a1#b2\n")
    assert one.gets["dotenv (js)"] == "the part before the #"
    assert one.gets["python-dotenv"] == "the value"


def test_a_comment_stays_in_the_value_for_docker() -> None:
    (one,) = differences("MODE=fast # or slow\n")
    assert one.gets["docker run --env-file"] == "the value with the comment behind it"


def test_export_and_blanks_become_a_part_of_the_name_for_docker() -> None:
    export, padded = differences("export A=1\nB = 2\n")
    assert export.gets["docker run --env-file"] == "takes export for a part of the name"
    assert padded.gets["docker run --env-file"] == "takes a blank for a part of the name"


def test_no_value_is_told() -> None:
    told = repr(differences("TOKEN='s3cr3tvalue' # s3cr3tvalue\nexport PIN = s3cr3t#value\n"))
    assert "s3cr3t" not in told


def test_what_a_reader_understands_can_be_asked_for() -> None:
    assert understood("A='1'\nB=2#3\n", "dotenv") == {"A": "1", "B": "2"}
    assert understood("A='1'\nB=2#3\n", "docker") == {"A": "'1'", "B": "2#3"}
