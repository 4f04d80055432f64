"""Sessions in Redis: for replicas on several machines.

A session is one hash, `chatify:session:{ID}`, so it is evicted, expires and moves in a cluster as a whole, and one key is all
a script touches. Every decision is one Lua script: atomic, one round trip, safe to send twice. The rules are those of
`_decide.py`; tests/chatify/chatbot/stores holds the two against each other.

    u p l n c e   user_id, personality_id, response_limit, responses_used, created_us, expires_us
    o             {key: leased_us} of the turns not finished; negative once given back, so never greater than now
    k:KEY         {m: message_id, d: digest, a: attempt, s: making | failed | done, l: leased_us, x: call, n: number, f: failure}
    q:KEY         the question, while it is in the making: [text, asked_us]
    t:N           the N-th finished turn: [[text, asked_us], [message_id, text, replied_us, provider, model, in, out]]
    m:MESSAGE_ID  N

Numbers travel as text: Lua's cjson writes 14 digits, and microseconds since 1970 have 16
(https://github.com/mpx/lua-cjson, `encode_number_precision`, read 2026-11).
"""

import json
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from chatify.chatbot.sessions import (
    HISTORY_TURNS,
    KEPT_S,
    Beginning,
    Begun,
    Expired,
    Failed,
    Finished,
    InTheMaking,
    KeyReused,
    LimitReached,
    Message,
    Missing,
    Replay,
    Reply,
    Session,
    SessionStore,
    StoreUnavailable,
    Ticket,
)  # fmt: skip
from chatify.chatbot.stores._values import at_us, digest_of, messages_of, turns_of, us_of
from chatify.redis_client import RedisLink, RedisUnavailable, Script

__all__ = ["RedisStore"]

# What every script begins with. `living` counts the turns of other keys that are in the making under a living lease.
_LUA = """
local K = KEYS[1]
local function head() return redis.call('HMGET', K, 'u', 'p', 'l', 'n', 'c', 'e') end
local function turn_of(key)
  local text = redis.call('HGET', K, 'k:' .. key)
  return text and cjson.decode(text)
end
local function keep(key, turn) redis.call('HSET', K, 'k:' .. key, cjson.encode(turn)) end
local function open_turns()
  local text = redis.call('HGET', K, 'o')
  return text and cjson.decode(text) or {}
end
local function living(open, key, now)
  local count = 0
  for other, lease in pairs(open) do
    if other ~= key and tonumber(lease) > now then count = count + 1 end
  end
  return count
end
local function has_room(s, open, key, now) return tonumber(s[4]) + living(open, key, now) < tonumber(s[3]) end
local function answer(word, s, ...)
  local parts = {word, s[1], s[2], s[3], s[4], s[5], s[6]}
  for _, part in ipairs({...}) do parts[#parts + 1] = part end
  return parts
end
"""

_CREATE = Script(
    _LUA
    + """
if redis.call('EXISTS', K) == 1 then return 0 end
for i = 2, #ARGV, 2 do redis.call('HSET', K, ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIREAT', K, ARGV[1])
return 1
"""
)

_BEGIN = Script(
    _LUA
    + """
local key, message_id, digest, question, lease, waited_for, call = unpack(ARGV, 1, 7)
local now, history, keep_dead, dead_limit = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local s = head()
if not s[1] then return {'missing'} end
if now >= tonumber(s[6]) then return answer('expired', s) end

local function begun(turn)
  local parts = answer('begun', s, turn.m, turn.a)
  local used = tonumber(s[4])
  for n = math.max(1, used - history + 1), used do
    parts[#parts + 1] = redis.call('HGET', K, 't:' .. string.format('%d', n))
  end
  return parts
end

local turn = turn_of(key)
if turn then
  if turn.d ~= digest then return {'key_reused'} end
  if turn.s == 'done' then return answer('replay', s, turn.n, redis.call('HGET', K, 't:' .. turn.n)) end
  if turn.s == 'failed' and turn.a == waited_for then return {'failed', turn.f} end
  if turn.s == 'making' and tonumber(turn.l) > now then
    if turn.x == call then return begun(turn) end  -- the same call, sent again because its answer was lost
    return {'in_the_making', turn.a}
  end
end
local open = open_turns()
if not has_room(s, open, key, now) then return answer('limit_reached', s) end

local dead = {}
for other, until_us in pairs(open) do
  if tonumber(until_us) <= now then dead[#dead + 1] = other end
end
if #dead >= dead_limit then
  table.sort(dead, function(a, b) return math.abs(tonumber(open[a])) > math.abs(tonumber(open[b])) end)
  for i = keep_dead + 1, #dead do
    if dead[i] ~= key then
      redis.call('HDEL', K, 'k:' .. dead[i], 'q:' .. dead[i])
      open[dead[i]] = nil
    end
  end
end

turn = {m = turn and turn.m or message_id, d = digest, s = 'making', l = lease, x = call,
        a = string.format('%d', (turn and tonumber(turn.a) or 0) + 1)}
open[key] = lease
keep(key, turn)
redis.call('HSET', K, 'o', cjson.encode(open), 'q:' .. key, question)
return begun(turn)
"""
)

_RENEW = Script(
    _LUA
    + """
local key, message_id, attempt, lease = unpack(ARGV, 1, 4)
local now = tonumber(ARGV[5])
local s, turn = head(), turn_of(key)
if not turn or turn.s ~= 'making' or turn.m ~= message_id or turn.a ~= attempt then return 0 end
local open = open_turns()
if tonumber(turn.l) <= now and not has_room(s, open, key, now) then return 0 end
turn.l = lease
open[key] = lease
keep(key, turn)
redis.call('HSET', K, 'o', cjson.encode(open))
return 1
"""
)

_FINISH = Script(
    _LUA
    + """
local key, message_id, attempt, reply = unpack(ARGV, 1, 4)
local now = tonumber(ARGV[5])
local s, turn = head(), turn_of(key)
if not turn or turn.m ~= message_id or turn.a ~= attempt or turn.s == 'failed' then return {'no'} end
if turn.s == 'done' then return answer('finished', s, turn.n) end
local open = open_turns()
if tonumber(turn.l) <= now and not has_room(s, open, key, now) then return {'no'} end
local n = string.format('%d', tonumber(s[4]) + 1)
local question = redis.call('HGET', K, 'q:' .. key)
open[key] = nil
keep(key, {m = turn.m, d = turn.d, a = turn.a, s = 'done', n = n})
redis.call('HSET', K, 'n', n, 't:' .. n, '[' .. question .. ',' .. reply .. ']', 'm:' .. turn.m, n, 'o', cjson.encode(open))
redis.call('HDEL', K, 'q:' .. key)
s[4] = n
return answer('finished', s, n)
"""
)

_GIVE_BACK = Script(
    _LUA
    + """
local key, message_id, attempt, failure = unpack(ARGV, 1, 4)
local turn = turn_of(key)
if not turn or turn.s ~= 'making' or turn.m ~= message_id or turn.a ~= attempt then return 0 end
local open = open_turns()
open[key] = '-' .. turn.l
keep(key, {m = turn.m, d = turn.d, a = turn.a, s = 'failed', l = turn.l, f = failure})
redis.call('HSET', K, 'o', cjson.encode(open))
redis.call('HDEL', K, 'q:' .. key)
return 1
"""
)

_MESSAGES = Script(
    _LUA
    + """
local after, reply_id, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
local used = tonumber(redis.call('HGET', K, 'n') or '0')
local skipped, half = 0, 0
local n = redis.call('HGET', K, 'm:' .. after)
if n then skipped = tonumber(n)
elseif reply_id ~= after then
  n = redis.call('HGET', K, 'm:' .. reply_id)
  if n then skipped, half = tonumber(n) - 1, 1 end
end
local parts = {half}
for i = skipped + 1, math.min(used, skipped + math.floor((limit + half + 1) / 2)) do
  parts[#parts + 1] = redis.call('HGET', K, 't:' .. string.format('%d', i))
end
return parts
"""
)

_KEPT_DEAD, _DEAD_LIMIT = 100, 200  # as in sqlite.py


def _name(session_id: str) -> str:
    return f"chatify:session:{{{session_id}}}"


def _json(*parts: Any) -> str:
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


def _session(session_id: str, head: Sequence[bytes]) -> Session:
    user_id, personality_id, limit, used, created, expires = head
    return Session(
        id=session_id, user_id=user_id.decode(), personality_id=personality_id.decode(), response_limit=int(limit),
        responses_used=int(used), created_at=at_us(int(created)), expires_at=at_us(int(expires)),
    )  # fmt: skip


def _messages(turns: Sequence[bytes]) -> tuple[Message, ...]:
    found = map(json.loads, turns)
    return messages_of((r[0], q[0], q[1], r[1], r[2], r[3]) for q, r in found)


class RedisStore:
    """The port over Redis. Keys expire by themselves, by the clock of Redis."""

    name = "redis"

    def __init__(self, url: str, *, deadline_s: float = 5.0, link: RedisLink | None = None) -> None:
        self._link = link or RedisLink(url, deadline_s=deadline_s)

    async def open(self) -> None:
        try:
            await self.ping()
        except BaseException:
            await self._link.close()
            raise

    async def close(self) -> None:
        await self._link.close()

    async def ping(self) -> float:
        try:
            return await self._link.ping()
        except RedisUnavailable as failure:
            raise StoreUnavailable(self.name, failure.reason, failure.detail) from failure

    async def create(self, session: Session, history: Sequence[Message] = ()) -> None:
        turns = turns_of(history)
        expires_us = us_of(session.expires_at)
        fields: list[str | int] = [
            "u", session.user_id, "p", session.personality_id, "l", session.response_limit, "n", len(turns),
            "c", us_of(session.created_at), "e", expires_us,
        ]  # fmt: skip
        for n, (q, a) in enumerate(turns, 1):
            reply = (a.id, a.text, us_of(a.at), a.provider or "unknown", None, None, None)
            fields += [f"t:{n}", _json((q.text, us_of(q.at)), reply), f"m:{a.id}", n]
        await self._run(_CREATE, session.id, expires_us // 1000 + KEPT_S * 1000, *fields)

    async def get(self, session_id: str) -> Session | None:
        try:
            head = await self._link.call(lambda redis: redis.hmget(_name(session_id), ["u", "p", "l", "n", "c", "e"]))
        except RedisUnavailable as failure:
            raise StoreUnavailable(self.name, failure.reason, failure.detail) from failure
        return None if head[0] is None else _session(session_id, cast("list[bytes]", head))

    async def delete(self, session_id: str) -> bool:
        try:
            return bool(await self._link.call(lambda redis: redis.delete(_name(session_id))))
        except RedisUnavailable as failure:
            raise StoreUnavailable(self.name, failure.reason, failure.detail) from failure

    async def messages(self, session_id: str, *, after: str | None = None, limit: int = 100) -> tuple[Message, ...]:
        half, *turns = await self._run(_MESSAGES, session_id, after or "", (after or "").removesuffix("-q"), limit)
        return _messages(turns)[half : half + limit]

    async def begin(
        self, session_id: str, *, message_id: str, key: str, text: str, now: datetime, lease_s: float,
        waited_for: int | None = None,
    ) -> Beginning:  # fmt: skip
        now_us = us_of(now)
        leased_us = now_us + round(lease_s * 1e6)
        word, *parts = await self._run(
            _BEGIN, session_id, key, message_id, digest_of(text), _json(text, now_us), leased_us,
            "" if waited_for is None else waited_for, uuid.uuid4().hex, now_us, HISTORY_TURNS, _KEPT_DEAD, _DEAD_LIMIT,
        )  # fmt: skip
        match word:
            case b"begun":
                ticket = Ticket(session_id=session_id, message_id=parts[6].decode(), key=key, attempt=int(parts[7]))
                return Begun(ticket=ticket, session=_session(session_id, parts[:6]), history=_messages(parts[8:]))
            case b"replay":
                _, (id_, said, _, provider, model, tokens_in, tokens_out) = json.loads(parts[7])
                reply = Reply(text=said, provider=provider, model=model, tokens_in=tokens_in, tokens_out=tokens_out)
                return Replay(
                    message_id=id_, reply=reply, responses_used=int(parts[6]), session=_session(session_id, parts[:6])
                )
            case b"in_the_making":
                return InTheMaking(attempt=int(parts[0]))
            case b"failed":
                status, code, detail, retry_after_s = json.loads(parts[0])
                return Failed(status=status, code=code, detail=detail, retry_after_s=retry_after_s)
            case b"key_reused":
                return KeyReused()
            case b"limit_reached":
                return LimitReached(session=_session(session_id, parts))
            case b"expired":
                return Expired(session=_session(session_id, parts))
        return Missing()

    async def renew(self, ticket: Ticket, *, now: datetime, lease_s: float) -> bool:
        now_us = us_of(now)
        which = (ticket.key, ticket.message_id, ticket.attempt)
        return bool(await self._run(_RENEW, ticket.session_id, *which, now_us + round(lease_s * 1e6), now_us))

    async def finish(self, ticket: Ticket, reply: Reply, *, now: datetime) -> Finished | None:
        now_us = us_of(now)
        stored = _json(
            ticket.message_id, reply.text, now_us, reply.provider, reply.model, reply.tokens_in, reply.tokens_out
        )
        which = (ticket.key, ticket.message_id, ticket.attempt)
        word, *parts = await self._run(_FINISH, ticket.session_id, *which, stored, now_us)
        if word != b"finished":
            return None
        return Finished(session=_session(ticket.session_id, parts[:6]), responses_used=int(parts[6]))

    async def give_back(
        self, ticket: Ticket, *, status: int, code: str, detail: str, retry_after_s: int | None = None
    ) -> None:
        which = (ticket.key, ticket.message_id, ticket.attempt)
        await self._run(_GIVE_BACK, ticket.session_id, *which, _json(status, code, detail, retry_after_s))

    async def purge(self, now: datetime) -> int:
        return 0  # each key has its time to live

    async def _run(self, script: Script, session_id: str, *args: str | int) -> Any:
        try:
            return await self._link.run(script, _name(session_id), *args)
        except RedisUnavailable as failure:
            raise StoreUnavailable(self.name, failure.reason, failure.detail) from failure


_: type[SessionStore] = RedisStore  # the port is kept: mypy holds it
