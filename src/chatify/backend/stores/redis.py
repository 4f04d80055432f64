"""The outbox in Redis, shared by several backends. Each change is one Lua script, so it is atomic there.

    s:ID     hash   the session: user_id personality_id created_at made settled accepted answered attempt held
    m:ID     hash   its messages by number N: q:N question, c:N accepted at, o:N outcome, t:N tries; i:MESSAGE_ID -> N
    due      zset   sessions in which something waits, by the time they are due (a held one: when its lease runs out)
    waiting  zset   the same sessions, by the time their oldest waiting message was accepted
    lease:N  note:N strings

Keys are made inside the scripts from the prefix, so one node holds them all (no Redis Cluster). A session's two keys
expire together, `retention_s` after the last thing that happened in it.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from chatify.backend.outbox import (
    Acceptance,
    Accepted,
    ChatSession,
    Claim,
    ClaimLost,
    IdReused,
    Made,
    Message,
    NoSession,
    OutboxUnavailable,
    TooManyWaiting,
)
from chatify.redis_client import RedisLink, RedisUnavailable, Script

__all__ = ["RedisOutbox"]

_ACCEPT = Script(
    """
local s, m = KEYS[1]..'s:'..ARGV[1], KEYS[1]..'m:'..ARGV[1]
local had = redis.call('HMGET', s, 'settled', 'accepted')
if not had[2] then return {'none'} end
local before = redis.call('HGET', m, 'i:'..ARGV[2])
if before then
  local v = redis.call('HMGET', m, 'q:'..before, 'o:'..before, 't:'..before)
  return {'seen', before, v[1], v[2], v[3]}
end
local waiting = tonumber(had[2]) - tonumber(had[1])
if waiting >= tonumber(ARGV[6]) then return {'full'} end
local n = tostring(tonumber(had[2]) + 1)
redis.call('HSET', m, 'i:'..ARGV[2], n, 'q:'..n, ARGV[3], 'c:'..n, ARGV[4])
redis.call('HSET', s, 'accepted', n)
redis.call('EXPIRE', s, ARGV[7]) redis.call('EXPIRE', m, ARGV[7])
if waiting > 0 then return {'new', n} end
redis.call('ZADD', KEYS[1]..'waiting', ARGV[4], ARGV[1])
if ARGV[5] == '' then
  redis.call('ZADD', KEYS[1]..'due', ARGV[4], ARGV[1])
  return {'new', n}
end
redis.call('ZADD', KEYS[1]..'due', ARGV[5], ARGV[1])
redis.call('HSET', s, 'held', '1')
local attempt = redis.call('HINCRBY', s, 'attempt', 1)
return {'claimed', n, attempt, redis.call('HGETALL', s)}
"""
)
_CLAIM = Script(
    """
local ids
if ARGV[4] == '' then ids = redis.call('ZRANGEBYSCORE', KEYS[1]..'due', '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
else ids = redis.call('ZRANGEBYSCORE', KEYS[1]..'waiting', '-inf', '('..ARGV[4], 'LIMIT', 0, ARGV[3]) end
local got = {}
for _, id in ipairs(ids) do
  local s, m = KEYS[1]..'s:'..id, KEYS[1]..'m:'..id
  local settled = redis.call('HGET', s, 'settled')
  local n = settled and tostring(tonumber(settled) + 1)
  local v = n and redis.call('HMGET', m, 'q:'..n, 't:'..n)
  if not v or not v[1] then
    redis.call('ZREM', KEYS[1]..'due', id) redis.call('ZREM', KEYS[1]..'waiting', id)
  else
    redis.call('ZADD', KEYS[1]..'due', ARGV[2], id)
    redis.call('HSET', s, 'held', '1')
    redis.call('HINCRBY', s, 'attempt', 1)
    got[#got + 1] = {id, redis.call('HGETALL', s), n, v[1], v[2]}
  end
end
return got
"""
)
_HELD = """
local function held(id, attempt)
  local v = redis.call('HMGET', KEYS[1]..'s:'..id, 'attempt', 'held')
  return v[1] == attempt and v[2] == '1'
end
"""
_RENEW = Script(
    _HELD
    + """
local lost = {}
for i = 2, #ARGV, 2 do
  if held(ARGV[i], ARGV[i + 1]) then redis.call('ZADD', KEYS[1]..'due', ARGV[1], ARGV[i])
  else lost[#lost + 1] = i / 2 - 1 end
end
return lost
"""
)
_BIND = Script(
    _HELD
    + """
if not held(ARGV[1], ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1]..'s:'..ARGV[1], 'made', ARGV[3])
return 1
"""
)
_SETTLE = Script(
    _HELD
    + """
local id, n = ARGV[1], tonumber(ARGV[3])
local s, m = KEYS[1]..'s:'..id, KEYS[1]..'m:'..id
if not held(id, ARGV[2]) then return {'lost'} end
local v = redis.call('HMGET', s, 'settled', 'accepted')
if tonumber(v[1]) ~= n - 1 then return {'lost'} end
redis.call('HSET', m, 'o:'..ARGV[3], ARGV[4])
redis.call('HSET', s, 'settled', ARGV[3])
redis.call('HINCRBY', s, 'answered', ARGV[7])
redis.call('EXPIRE', s, ARGV[6]) redis.call('EXPIRE', m, ARGV[6])
if tonumber(v[2]) == n then
  redis.call('HSET', s, 'held', '0')
  redis.call('ZREM', KEYS[1]..'due', id) redis.call('ZREM', KEYS[1]..'waiting', id)
  return {'done'}
end
local k = tostring(n + 1)
local h = redis.call('HMGET', m, 'q:'..k, 't:'..k, 'c:'..k)
redis.call('ZADD', KEYS[1]..'due', ARGV[5], id)
redis.call('ZADD', KEYS[1]..'waiting', h[3], id)
return {'next', k, h[1], h[2]}
"""
)
_RELEASE = Script(
    _HELD
    + """
if not held(ARGV[1], ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1]..'s:'..ARGV[1], 'held', '0')
redis.call('HSET', KEYS[1]..'m:'..ARGV[1], 't:'..ARGV[3], ARGV[5])
redis.call('ZADD', KEYS[1]..'due', ARGV[4], ARGV[1])
return 1
"""
)
_TAKE = Script(
    """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
)
_DROP = Script("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0")


def _session(session_id: str, fields: dict[str, str]) -> ChatSession:
    made = fields["made"]
    return ChatSession(
        id=session_id, user_id=fields["user_id"], personality_id=fields["personality_id"],
        created_at=float(fields["created_at"]), made=Made(**json.loads(made)) if made else None,
        settled=int(fields["settled"]), accepted=int(fields["accepted"]),
        answered=int(fields["answered"]),
    )  # fmt: skip


def _message(number: int, question: str, outcome: str | None, tries: str | None) -> Message:
    identity, text, created_at = json.loads(question)
    status, told, settled_at = json.loads(outcome or '["queued", null, null]')
    return Message(
        id=identity, number=number, text=text, created_at=created_at, status=status, tries=int(tries or 0),
        outcome=told, settled_at=settled_at,
    )  # fmt: skip


def _pairs(flat: Sequence[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


class RedisOutbox:
    """`Outbox` on one Redis. retention_s: life of a quiet session."""

    name = "redis"

    def __init__(self, url: str, *, retention_s: float, prefix: str = "chatify:backend:") -> None:
        self.link = RedisLink(url)
        self.prefix = prefix
        self._ttl_s = int(retention_s)

    async def open(self) -> None:
        await self.ping()

    async def close(self) -> None:
        await self.link.close()

    async def _call(self, run: Callable[[Any], Awaitable[Any]]) -> Any:
        """The only place where the link's exception becomes the port's. The answer, its bytes as text."""
        try:
            found = await self.link.call(run)
        except RedisUnavailable as failure:
            raise OutboxUnavailable("redis", failure.reason) from failure
        return _texts(found)

    async def _run(self, script: Script, *arguments: str | int, key: str | None = None) -> Any:
        try:
            found = await self.link.run(script, key or self.prefix, *arguments)
        except RedisUnavailable as failure:
            raise OutboxUnavailable("redis", failure.reason) from failure
        return _texts(found)

    async def ping(self) -> None:
        await self._call(lambda client: client.ping())

    async def add(self, session: ChatSession) -> None:
        key = f"{self.prefix}s:{session.id}"
        fields: dict[str, str | int] = {
            "user_id": session.user_id, "personality_id": session.personality_id, "created_at": repr(session.created_at),
            "made": _made(session.made), "settled": 0, "accepted": 0, "answered": 0, "attempt": 0, "held": 0,
        }  # fmt: skip

        async def run(client: Any) -> None:
            async with client.pipeline(transaction=True) as pipe:
                pipe.hset(key, mapping=fields)
                pipe.expire(key, self._ttl_s)
                await pipe.execute()

        await self._call(run)

    async def session(self, session_id: str) -> ChatSession | None:
        found = await self._call(lambda client: client.hgetall(f"{self.prefix}s:{session_id}"))
        fields = {_texts(name): _texts(value) for name, value in found.items()}
        return _session(session_id, fields) if fields else None

    async def accept(
        self, session_id: str, message_id: str, text: str, *, now: float, lease_s: float | None, waiting_limit: int
    ) -> Acceptance:
        question = json.dumps([message_id, text, now])
        until = "" if lease_s is None else repr(now + lease_s)
        got = await self._run(_ACCEPT, session_id, message_id, question, repr(now), until, waiting_limit, self._ttl_s
        )  # fmt: skip
        match got[0]:
            case "none":
                return NoSession()
            case "full":
                return TooManyWaiting()
            case "seen":
                message = _message(int(got[1]), *got[2:5])
                return Accepted(message=message, is_new=False) if message.text == text else IdReused()
        message = Message(id=message_id, number=int(got[1]), text=text, created_at=now)
        claim = None
        if got[0] == "claimed":
            claim = Claim(session=_session(session_id, _pairs(got[3])), attempt=int(got[2]), message=message)
        return Accepted(message=message, is_new=True, claim=claim)

    async def message(self, session_id: str, message_id: str) -> Message | None:
        key = f"{self.prefix}m:{session_id}"
        number = await self._call(lambda client: client.hget(key, f"i:{message_id}"))
        if number is None:
            return None
        found = await self.messages(session_id, after=int(number) - 1, limit=1)
        return found[0] if found else None

    async def messages(self, session_id: str, *, after: int = 0, limit: int) -> tuple[Message, ...]:
        key = f"{self.prefix}m:{session_id}"
        numbers = range(after + 1, after + 1 + limit)
        fields = [f"{field}:{n}" for n in numbers for field in "qot"]
        found = await self._call(lambda client: client.hmget(key, fields))
        rows = zip(numbers, found[::3], found[1::3], found[2::3], strict=True)
        return tuple(_message(n, question, outcome, tries) for n, question, outcome, tries in rows if question)

    async def claim(
        self, *, now: float, lease_s: float, limit: int, accepted_before: float | None = None
    ) -> list[Claim]:
        before = "" if accepted_before is None else repr(accepted_before)
        got = await self._run(_CLAIM, repr(now), repr(now + lease_s), limit, before)
        claims = []
        for session_id, flat, number, question, tries in got:
            fields = _pairs(flat)
            claims.append(
                Claim(session=_session(session_id, fields), attempt=int(fields["attempt"]),
                      message=_message(int(number), question, None, tries))
            )  # fmt: skip
        return claims

    async def renew(self, claims: Sequence[Claim], *, now: float, lease_s: float) -> list[Claim]:
        held = [part for claim in claims for part in (claim.session.id, claim.attempt)]
        lost = await self._run(_RENEW, repr(now + lease_s), *held)
        return [claims[int(index)] for index in lost]

    async def bind(self, claim: Claim, made: Made) -> ClaimLost | None:
        done = await self._run(_BIND, claim.session.id, claim.attempt, _made(made))
        return None if done else ClaimLost()

    async def settle(
        self,
        claim: Claim,
        status: Literal["answered", "failed"],
        outcome: dict[str, Any],
        *,
        now: float,
        lease_s: float,
    ) -> Message | ClaimLost | None:
        told = json.dumps([status, outcome, now])
        got = await self._run(
            _SETTLE, claim.session.id, claim.attempt, claim.message.number, told, repr(now + lease_s), self._ttl_s,
            int(status == "answered"),
        )  # fmt: skip
        if got[0] == "lost":
            return ClaimLost()
        return None if got[0] == "done" else _message(int(got[1]), got[2], None, got[3])

    async def release(self, claim: Claim, *, due_at: float, tries: int) -> ClaimLost | None:
        done = await self._run(_RELEASE, claim.session.id, claim.attempt, claim.message.number, repr(due_at), tries
        )  # fmt: skip
        return None if done else ClaimLost()

    async def next_due(self) -> float | None:
        first = await self._call(lambda client: client.zrange(f"{self.prefix}due", 0, 0, withscores=True))
        return float(first[0][1]) if first else None

    async def take_lease(self, name: str, holder: str, *, now: float, lease_s: float) -> bool:
        # Redis' own clock: hosts that disagree about `now` must not both hold it.
        return bool(await self._run(_TAKE, holder, int(lease_s * 1000), key=f"{self.prefix}lease:{name}"))

    async def drop_lease(self, name: str, holder: str) -> None:
        await self._run(_DROP, holder, key=f"{self.prefix}lease:{name}")

    async def remember(self, key: str, value: str) -> None:
        await self._call(lambda client: client.set(f"{self.prefix}note:{key}", value))

    async def recall(self, key: str) -> str | None:
        value = await self._call(lambda client: client.get(f"{self.prefix}note:{key}"))
        return None if value is None else str(value)

    async def purge(self, *, quiet_since: float, limit: int) -> int:
        return 0  # Redis drops quiet sessions by itself: see `retention_s`


def _texts(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return [_texts(each) for each in value] if isinstance(value, list) else value


def _made(made: Made | None) -> str:
    if made is None:
        return ""
    return json.dumps(
        {"session_id": made.session_id, "response_limit": made.response_limit, "opening": made.opening,
         "expires_at": made.expires_at}
    )  # fmt: skip
