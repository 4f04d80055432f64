"""Several calls at once may be the first: the package, whose modules import each other in circles, is there for all of them."""

import subprocess
import sys

PROGRAM = """
import threading
from everwake.platforms._door import _imported

api = "render.public_api.api"
names = [f"{api}.deploys.list_deploys", f"{api}.services.retrieve_service", f"{api}.deploys.rollback_deploy",
         f"{api}.logs.list_logs", "render.public_api.models", "render.public_api.client"]
failed = []

def go(name):
    try:
        _imported(name)
    except BaseException as error:
        failed.append(repr(error))

threads = [threading.Thread(target=go, args=(name,)) for name in names]
for each in threads: each.start()
for each in threads: each.join()
print(failed)
"""


def test_the_first_calls_of_several_at_once_find_the_package_whole() -> None:
    # Without the lock: "_DeadlockError: deadlock detected by _ModuleLock('render.public_api.client')", in six of six runs.
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
