"""A changed fleet file is taken, a bad one is refused once, and nothing else happens."""

import os
from pathlib import Path

import pytest

from everwake.fleet.load import BadFleet, load
from everwake.fleet.reload import Reloader
from everwake.fleet.schema import Fleet
from tests.support.fake_clock import FakeClock

ONE = '[[service]]\nname = "one"\nurl = "https://one.example"\n'
TWO = '[[service]]\nname = "two"\nurl = "https://two.example"\n'


class Scene:
    """A fleet file in a folder; what the reloader said about it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "everwake.toml"
        self.file.write_text(ONE)
        self.environ: dict[str, str] = {}
        self.taken: list[Fleet] = []
        self.refused: list[BadFleet] = []
        self.reloader = Reloader(
            load(self.file, self.environ), FakeClock(), environ=self.environ, kinds={},
            taken=self.taken.append, refused=self.refused.append,
        )  # fmt: skip

    async def looks(self, times: int = 3, *, asked: bool = False) -> None:
        for _ in range(times):
            await self.reloader.look(asked=asked)

    @property
    def names(self) -> list[list[str]]:
        return [[service.name for service in fleet.services] for fleet in self.taken]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_a_file_that_stays_as_it_is_does_nothing(scene: Scene) -> None:
    await scene.looks(10)
    assert (scene.taken, scene.refused) == ([], [])


async def test_a_changed_file_is_taken_once(scene: Scene) -> None:
    scene.file.write_text(ONE + TWO)
    await scene.looks(10)
    assert scene.names == [["one", "two"]]


async def test_touching_the_file_or_changing_a_comment_changes_nothing(scene: Scene) -> None:
    os.utime(scene.file, (1, 1))
    await scene.looks()
    scene.file.write_text("# a comment\n" + ONE)
    await scene.looks()
    assert (scene.taken, scene.refused) == ([], [])


async def test_a_change_of_the_same_length_is_seen_too(scene: Scene) -> None:
    scene.file.write_text(ONE.replace("one", "uno"))
    await scene.looks()
    assert scene.names == [["uno"]]


async def test_a_file_that_turned_bad_is_refused_once_for_each_change_and_then_taken_again(scene: Scene) -> None:
    scene.file.write_text("[[service]]\nnmae = 1\n")
    await scene.looks(10)
    assert len(scene.refused) == 1
    assert len(scene.refused[0].mistakes) == 3, "every mistake at once"
    scene.file.write_text("[[service]\n")
    await scene.looks(10)
    assert len(scene.refused) == 2
    scene.file.write_text(TWO)
    await scene.looks(10)
    assert scene.names == [["two"]]


async def test_a_file_that_is_gone_is_refused_and_its_return_ends_the_trouble(scene: Scene) -> None:
    scene.file.rename(scene.file.with_suffix(".away"))
    await scene.looks(5)
    assert [bad.mistakes[0].message for bad in scene.refused] == ["cannot be read: No such file or directory"]
    scene.file.with_suffix(".away").rename(scene.file)
    await scene.looks(5)
    assert (scene.names, len(scene.refused)) == ([["one"]], 1)


async def test_a_file_that_is_still_being_written_is_waited_for(scene: Scene) -> None:
    scene.file.write_text(ONE + "[[service]]\n")
    await scene.looks(1)
    scene.file.write_text(ONE + TWO)
    await scene.looks(5)
    assert (scene.names, scene.refused) == ([["one", "two"]], [])


async def test_asking_reads_it_at_once_and_secrets_with_it(scene: Scene) -> None:
    with scene.file.open("a") as file:
        file.write('[notify]\nurls = [{ env = "ALERT_URL" }]\n')
    await scene.looks(1, asked=True)
    assert "ALERT_URL is not set" in str(scene.refused[0])
    scene.environ["ALERT_URL"] = "json://localhost"
    await scene.looks(1, asked=True)
    assert [fleet.notify.urls[0].reveal() for fleet in scene.taken] == ["json://localhost"]
