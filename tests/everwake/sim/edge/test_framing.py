"""Bodies and frames, followed whatever the blocks they come in."""

import re
from itertools import pairwise

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.sim.edge._inflow import Inflow
from everwake.sim.edge.frames import Frames
from everwake.sim.edge.framing import Chunked, Counted, Malformed
from everwake.sim.edge.heads import parse_request


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The same bytes in blocks."""
    at = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[begin:end] for begin, end in pairwise(at)]


places = st.lists(st.integers(0, 100_000), max_size=40)
names = st.from_regex(re.compile(r"[A-Za-z][A-Za-z0-9-]{0,12}"), fullmatch=True).map(lambda name: "X-" + name)
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30)


@st.composite
def chunked(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """(as it travels, what it carries)"""
    payloads = draw(st.lists(st.binary(min_size=1, max_size=300), max_size=6))
    sent = b""
    for payload in payloads:
        size = b"%X" if draw(st.booleans()) else b"%x"
        extension = draw(st.sampled_from([b"", b";a=b", b';q="x;y"', b";" + b"x" * 50]))
        sent += b"0" * draw(st.integers(0, 3)) + size % len(payload) + extension + b"\r\n" + payload + b"\r\n"
    trailers = draw(st.lists(st.tuples(names, values), max_size=2))
    sent += b"0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in trailers).encode("latin-1") + b"\r\n"
    return sent, b"".join(payloads)


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """(head, body)"""
    lines = [
        "{} /{} HTTP/1.1".format(
            draw(st.sampled_from(["GET", "POST", "PATCH", "QUERY"])), draw(st.sampled_from(["", "a?b=c"]))
        )
    ]
    lines += [
        "Host: app.localhost",
        *(f"{name}: {value}" for name, value in draw(st.lists(st.tuples(names, values), max_size=5))),
    ]
    match draw(st.sampled_from(["none", "counted", "chunked"])):
        case "counted":
            body = draw(st.binary(max_size=500))
            lines.append(f"content-length: {len(body)}")
        case "chunked":
            body = draw(chunked())[0]
            lines.append("Transfer-Encoding: chunked")
        case _:
            body = b""
    return "\r\n".join([*lines, "", ""]).encode("latin-1"), body


@given(sent=chunked(), after=st.binary(max_size=20), at=places)
def test_a_chunked_body_ends_where_it_ends_whatever_the_blocks(
    sent: tuple[bytes, bytes], after: bytes, at: list[int]
) -> None:
    travels, carries = sent
    follows, unwraps, taken, payload = Chunked(), Chunked(unwraps=True), b"", b""
    for block in cut(travels + after, at):
        count = follows.take(block)
        taken += follows.payload(block, count)
        assert unwraps.take(block) == count
        payload += unwraps.payload(block, count)
    assert follows.is_done
    assert taken == travels
    assert payload == carries


@given(sent=chunked())
def test_llhttp_finds_the_same_in_a_chunked_body(sent: tuple[bytes, bytes]) -> None:
    class Heard:
        body, ends = b"", 0

        def on_body(self, data: bytes) -> None:
            self.body += data

        def on_message_complete(self) -> None:
            self.ends += 1

    heard = Heard()
    httptools.HttpRequestParser(heard).feed_data(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + sent[0])
    assert (heard.body, heard.ends) == (sent[1], 1)


def take(framing: Chunked, blocks: list[bytes]) -> None:
    for block in blocks:
        assert framing.take(block) == len(block)


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n", b"x\r\n", b"-1\r\n", b"+1\r\n", b"0x1\r\n", b"1 \r\n", b"1 ;a\r\n", b" 1\r\n", b"1\n", b"1\r\nab\r\n",
        b"1\r\na\n", b"1\r\na\r\r",
        b"1_0\r\n", b"1\x00\r\n", b"1;a\rb\r\n", b"f" * 16 + b"\r\n", b"0\r\n x\r\n", b"0\r\nno header\r\n", b"0\r\na: b\n\r\n",
        b"0\r\na : b\r\n", b"1;" + b"x" * 5_000, b"0\r\na: " + b"x" * 20_000, b"0\r\n" + b"a: b\r\n" * 4_000,
    ],
)  # fmt: skip
def test_what_is_not_a_chunk_is_refused_in_whatever_blocks_it_comes(sent: bytes) -> None:
    for blocks in ([sent], [sent[n : n + 1] for n in range(len(sent))]):
        with pytest.raises(Malformed):
            take(Chunked(), blocks)


@given(length=st.integers(0, 200), sent=st.binary(max_size=300), at=places)
def test_a_counted_body_is_that_many_bytes(length: int, sent: bytes, at: list[int]) -> None:
    body, got = Counted(length), b""
    for block in cut(sent, at):
        got += body.payload(block, body.take(block))
    assert got == sent[:length]
    assert body.is_done is (len(sent) >= length)


@given(said=st.lists(requests(), min_size=1, max_size=4), at=places, empty_lines=st.integers(0, 2))
def test_requests_in_a_row_come_apart_the_same_whatever_the_blocks(
    said: list[tuple[bytes, bytes]], at: list[int], empty_lines: int
) -> None:
    inflow, found, head = Inflow(65_536), [], None
    for block in cut((b"\r\n" * empty_lines).join([b"", *(head + body for head, body in said)]), at):
        inflow.feed(block)
        while True:
            if head is None:
                head = inflow.head()
                if head is None:
                    break
                inflow.frame(parse_request(head).body)
                found.append((head, b""))
            found[-1] = (head, found[-1][1] + inflow.body())
            if not inflow.is_done:
                break
            head = None
    assert found == said
    assert inflow.left == 0


@pytest.mark.parametrize("block", [1, 7, 1_000, 100_000])
def test_a_head_without_end_is_given_up_at_its_limit(block: int) -> None:
    inflow = Inflow(1_000)
    for _ in range(1_000 // block):
        inflow.feed(b"a" * block)
        assert inflow.head() is None
    inflow.feed(b"a" * block)
    with pytest.raises(Malformed) as given_up:
        inflow.head()
    assert given_up.value.status == 431


def frame(opcode: int, payload: bytes, *, masked: bool = True, fin: bool = True) -> bytes:
    size = len(payload)
    short = size if size < 126 else 126 if size < 65_536 else 127
    length = b"" if short < 126 else size.to_bytes(2 if short == 126 else 8, "big")
    mask = b"\x01\x02\x03\x04" if masked else b""
    return bytes([opcode | (0x80 if fin else 0), short | (0x80 if masked else 0)]) + length + mask + payload


frames = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 2, 8, 9, 10, 0x41]),
        st.sampled_from([0, 1, 2, 125, 126, 127, 200, 65_535, 65_536]),
        st.booleans(),
    ),
    max_size=12,
)


@given(sent=frames, at=places)
def test_messages_are_counted_the_same_whatever_the_blocks(sent: list[tuple[int, int, bool]], at: list[int]) -> None:
    # 0x41 is a text frame that an extension has marked (compressed).
    travels = b"".join(frame(opcode, b"\x81" * size, masked=masked) for opcode, size, masked in sent)
    counter = Frames()
    assert sum(counter.feed(block) for block in cut(travels, at)) == sum(opcode & 15 in (1, 2) for opcode, _, _ in sent)


def test_messages_are_counted_in_single_bytes() -> None:
    counter = Frames()
    travels = (
        frame(1, b"hello")
        + frame(9, b"")
        + frame(2, b"x" * 300, masked=False)
        + frame(10, b"x")
        + frame(8, b"\x03\xe8")
    )
    assert sum(counter.feed(bytes([byte])) for byte in travels) == 2


def test_a_message_in_fragments_is_one() -> None:
    assert Frames().feed(frame(1, b"a", fin=False) + frame(9, b"") + frame(0, b"b", fin=False) + frame(0, b"c")) == 1


@given(st.lists(st.binary(max_size=100), max_size=20))
def test_no_bytes_are_too_strange_to_count_frames_in(blocks: list[bytes]) -> None:
    counter = Frames()
    assert all(counter.feed(block) >= 0 for block in blocks)
