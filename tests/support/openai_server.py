"""An OpenAI-compatible server on loopback that behaves as badly as it is told to.

In a test:

    with OpenAIServer() as server:
        server.script(Behaviour(kind="status", status=429, retry_after="2"), OK)   # one per call, in order
        server.always(Behaviour(delay_s=0.2))                                      # once the script has run out
        ... AsyncOpenAI(base_url=server.base_url, api_key="sk-test-...")
        assert server.calls[0].body["model"] == "..."

As a process of its own: `python -m tests.support.openai_server --port 0` prints its port as the first line; then
`POST /_script {"script": [...], "always": {...}}` and `GET /_calls` (counts and the last bodies) steer and read it.

A message may also carry its own behaviour, which wins over the script: `[[{"kind":"stall"}]] and more text`.
"""

import argparse
import asyncio
import contextlib
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any, Literal, Self

__all__ = ["OK", "Behaviour", "Call", "OpenAIServer"]

_KEPT_CALLS = 2_000
_MAX_REQUEST_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How one call is answered.

    kind: `ok` · `stall` nothing is ever sent · `truncate` the connection breaks in the middle of the body · `half` the
    stream ends cleanly in the middle of the reply · `stall_midway` half a stream and then silence · `error_event` half a
    stream and then an error object (the last three, asked without a stream, are `truncate`) · `status` an error of
    `status` · `garbage` 200 with what is not JSON · `empty` no choices · `blank` a reply of no characters · `reset` the
    connection is reset at once.
    text: the reply; None echoes the last message.   delay_s: before the first byte.   chunk_delay_s: between pieces.
    retry_after: the header's text.   code: `error.code` of an error.   refuses_usage: 400 for `stream_options`.
    """

    kind: Literal[
        "ok", "stall", "truncate", "half", "stall_midway", "status", "error_event", "garbage", "empty", "blank", "reset"
    ] = "ok"
    text: str | None = None
    delay_s: float = 0.0
    chunk_delay_s: float = 0.0
    chunk_chars: int = 8
    status: int = 200
    retry_after: str | None = None
    code: str | None = None
    refuses_usage: bool = False
    finish_reason: str = "stop"


OK = Behaviour()


@dataclass(slots=True)
class Call:
    """One request for a reply. finished: everything was written; client_left: the client hung up before."""

    body: dict[str, Any]
    headers: dict[str, str]
    finished: bool = False
    client_left: bool = False


@dataclass(slots=True)
class _Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class _Line:
    """One connection. early: bytes that arrived while a reply was being made."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    early: bytes = b""

    async def request(self) -> _Request | None:
        try:
            head = self.early + await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return None
        self.early = b""
        first, *rest = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in rest if line)}
        length = int(headers.get("content-length", "0"))
        if length > _MAX_REQUEST_BYTES:
            return None
        return _Request(method, path, headers, await self.reader.readexactly(length))

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}"]
        lines += [f"{k}: {v}" for k, v in {"content-type": "application/json", **(headers or {})}.items()]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def begin_stream(self) -> None:
        self.writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")

    def event(self, data: str) -> None:
        piece = f"data: {data}\n\n".encode()
        self.writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

    def reset(self) -> None:
        # SO_LINGER of zero seconds makes close() send RST, as a crashing proxy does.
        sock: socket.socket = self.writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh" if _WINDOWS else "ii", 1, 0))
        self.writer.transport.abort()


_WINDOWS = hasattr(socket, "SO_EXCLUSIVEADDRUSE")


class OpenAIServer:
    """The server, in a thread and event loop of its own, so that a blocked test cannot stop it.

    calls: the last 2,000; total, running, most_running: counts since the last `forget`.
    """

    def __init__(self, *, port: int = 0) -> None:
        self.calls: deque[Call] = deque(maxlen=_KEPT_CALLS)
        self.total = 0
        self.running = 0
        self.most_running = 0
        self.port = port
        self._script: deque[Behaviour] = deque()
        self._always = OK
        self._ids = count(1)
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="openai-server", daemon=True)

    # --- for tests --------------------------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def script(self, *behaviours: Behaviour) -> None:
        """The next calls behave so, one after the other."""
        with self._lock:
            self._script.extend(behaviours)

    def always(self, behaviour: Behaviour) -> None:
        """How calls behave when the script has run out."""
        with self._lock:
            self._always = behaviour

    def forget(self) -> None:
        """Empty the script and the record; back to `OK`."""
        with self._lock:
            self._script.clear()
            self._always = OK
            self.calls.clear()
            self.total = self.most_running = 0

    def wait_until(self, condition: Callable[["OpenAIServer"], bool], within_s: float = 10.0) -> None:
        """Block until `condition(self)` holds; a call that began, ended or was left behind makes it look again."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), within_s):
                raise TimeoutError(f"not so within {within_s} s; calls: {list(self.calls)[-3:]}")

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise TimeoutError("the server did not start within 10 s")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    # --- the server -------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, limit=_MAX_REQUEST_BYTES, backlog=1024
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._line(_Line(reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _line(self, line: _Line) -> None:
        try:
            while (request := await line.request()) is not None:
                if not await self._handle(line, request):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went away: what it had asked for is already on record
        finally:
            line.writer.transport.abort() if line.writer.is_closing() else line.writer.close()

    async def _handle(self, line: _Line, request: _Request) -> bool:
        """Answer one request; False when the connection is over."""
        path = request.path.partition("?")[0]
        if path.endswith("/chat/completions") and request.method == "POST":
            return await self._complete(line, request)
        if path.endswith("/models"):
            line.answer(200, b'{"object":"list","data":[{"id":"test-model","object":"model"}]}')
        elif path == "/_calls":
            line.answer(200, json.dumps(self._report()).encode())
        elif path == "/_script":
            wanted = json.loads(request.body)
            if wanted.get("forget"):
                self.forget()
            self.script(*(Behaviour(**b) for b in wanted.get("script", [])))
            if "always" in wanted:
                self.always(Behaviour(**wanted["always"]))
            line.answer(200, b"{}")
        else:
            line.answer(404, b'{"error":{"message":"no such path"}}')
        await line.writer.drain()
        return True

    def _report(self) -> dict[str, Any]:
        return {
            "total": self.total, "running": self.running, "most_running": self.most_running,
            "calls": [asdict(c) for c in list(self.calls)[-100:]],
        }  # fmt: skip

    async def _complete(self, line: _Line, request: _Request) -> bool:
        call = Call(json.loads(request.body), request.headers)
        self._note(call, +1)
        behaviour = self._next(_last_text(call.body))
        try:
            if behaviour.kind == "ok" and not (behaviour.delay_s or behaviour.chunk_delay_s):
                going_on = await self._play(line, call, behaviour)  # the quick way, for benches
            else:
                going_on = await self._unless_left(line, call, self._play(line, call, behaviour))
        except OSError:
            call.client_left = True
            raise
        finally:
            self._note(call, -1)
        return going_on

    def _note(self, call: Call, change: int) -> None:
        with self._changed:
            if change > 0:
                self.calls.append(call)
                self.total += 1
            self.running += change
            self.most_running = max(self.most_running, self.running)
            self._changed.notify_all()

    def _next(self, text: str) -> Behaviour:
        if text.startswith("[[{"):
            with contextlib.suppress(ValueError, TypeError):
                return Behaviour(**json.JSONDecoder().raw_decode(text, 2)[0])
        with self._lock:
            return self._script.popleft() if self._script else self._always

    async def _unless_left(self, line: _Line, call: Call, work: Coroutine[Any, Any, bool]) -> bool:
        """Run `work` and give it up when the client hangs up."""
        working = asyncio.ensure_future(work)
        hearing = asyncio.ensure_future(line.reader.read(1))
        try:
            await asyncio.wait({working, hearing}, return_when=asyncio.FIRST_COMPLETED)
            if hearing.done():
                line.early = hearing.result()
                if not line.early and not working.done():
                    call.client_left = True
                    return False
            return await working
        finally:
            for task in (working, hearing):
                task.cancel()
            await asyncio.gather(working, hearing, return_exceptions=True)

    async def _play(self, line: _Line, call: Call, how: Behaviour) -> bool:
        if how.delay_s:
            await asyncio.sleep(how.delay_s)
        streamed = bool(call.body.get("stream"))
        match how.kind:
            case "stall":
                await asyncio.Event().wait()
            case "reset":
                line.reset()
                return False
            case "status":
                _answer_error(line, call, how)
            case "garbage":
                line.answer(200, b"<html>definitely { not JSON", {"content-type": "application/json"})
            case "truncate" | "half" | "stall_midway" | "error_event" if not streamed:
                line.writer.write(
                    b'HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"id":'
                )
                await line.writer.drain()
                return False
            case _ if how.refuses_usage and "stream_options" in call.body:
                _answer_error(line, call, Behaviour(kind="status", status=400, code="unknown_parameter"))
            case _ if streamed:
                return await self._stream(line, call, how)
            case _:
                line.answer(200, json.dumps(_completion(next(self._ids), call, how)).encode())
        await line.writer.drain()
        call.finished = True
        return True

    async def _stream(self, line: _Line, call: Call, how: Behaviour) -> bool:
        number = next(self._ids)
        line.begin_stream()
        async for event in _events(number, call, how):
            line.event(event)
            if how.chunk_delay_s:
                await line.writer.drain()
                await asyncio.sleep(how.chunk_delay_s)
        await line.writer.drain()
        if how.kind == "stall_midway":
            await asyncio.Event().wait()
        if how.kind == "truncate":
            return False
        line.writer.write(b"0\r\n\r\n")
        await line.writer.drain()
        call.finished = True
        return True


def _last_text(body: Mapping[str, Any]) -> str:
    messages = body.get("messages") or [{}]
    content = messages[-1].get("content", "")
    return content if isinstance(content, str) else json.dumps(content)


def _text(call: Call, how: Behaviour) -> str:
    if how.kind == "blank":
        return ""
    return f"You said: {_last_text(call.body)}" if how.text is None else how.text


def _usage(call: Call, text: str) -> dict[str, int]:
    asked = sum(len(str(m.get("content", "")).split()) for m in call.body.get("messages", []))
    told = len(text.split())
    return {"prompt_tokens": asked, "completion_tokens": told, "total_tokens": asked + told}


def _answer_error(line: _Line, call: Call, how: Behaviour) -> None:
    # Real servers quote the key back (api.openai.com: "Incorrect API key provided: sk-..."), so this one does it in full.
    key = call.headers.get("authorization", "").removeprefix("Bearer ")
    error = {"message": f"Incorrect API key provided: {key}.", "type": "invalid_request_error", "code": how.code}
    headers = {} if how.retry_after is None else {"retry-after": how.retry_after}
    line.answer(how.status, json.dumps({"error": error}).encode(), headers)


def _completion(number: int, call: Call, how: Behaviour) -> dict[str, Any]:
    text = _text(call, how)
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": how.finish_reason}
    return {
        "id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1_767_225_600,
        "model": call.body.get("model", "test-model"), "choices": [] if how.kind == "empty" else [choice],
        "usage": _usage(call, text),
    }  # fmt: skip


async def _events(number: int, call: Call, how: Behaviour) -> AsyncIterator[str]:
    text = _text(call, how)
    shape = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": 1_767_225_600,
             "model": call.body.get("model", "test-model")}  # fmt: skip

    def event(delta: Mapping[str, str], finish: str | None = None) -> str:
        return json.dumps({**shape, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    if how.kind != "empty":
        yield event({"role": "assistant", "content": ""})
        sent = text[: len(text) // 2] if how.kind in {"half", "truncate", "stall_midway", "error_event"} else text
        for start in range(0, len(sent), how.chunk_chars):
            yield event({"content": sent[start : start + how.chunk_chars]})
        if how.kind == "error_event":
            yield json.dumps({"error": {"message": "the model fell over", "type": "server_error", "code": None}})
        if how.kind in {"half", "truncate", "stall_midway", "error_event"}:
            return
        yield event({}, how.finish_reason)
    if (call.body.get("stream_options") or {}).get("include_usage"):
        yield json.dumps({**shape, "choices": [], "usage": _usage(call, text)})
    yield "[DONE]"


def main() -> None:
    """Run as a process of its own until it is killed or its standard input closes."""
    parser = argparse.ArgumentParser(description="OpenAI-compatible server that behaves as told")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--always", type=json.loads, default={}, help="Behaviour as JSON")
    wanted = parser.parse_args()
    with OpenAIServer(port=wanted.port) as server:
        server.always(Behaviour(**wanted.always))
        print(server.port, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
