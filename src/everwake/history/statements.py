"""Every statement that is not a table, by what it is for. `?` and `:name` are its parameters."""

# --- names ------------------------------------------------------------------------------------------------------------

ADD_SERVICE = "INSERT INTO services (name) VALUES (?) ON CONFLICT DO NOTHING"
SERVICE_ID = "SELECT id FROM services WHERE name = ?"
SERVICES = "SELECT id, name FROM services"
ADD_STREAM = "INSERT INTO streams (service, kind) VALUES (?, ?) ON CONFLICT DO NOTHING"
STREAM_ID = "SELECT id FROM streams WHERE service = ? AND kind = ?"
STREAMS_OF_SERVICE = (
    "SELECT streams.id, kind FROM streams JOIN services ON services.id = streams.service WHERE name = ? ORDER BY 1"
)
STREAMS_OF_KIND = (
    "SELECT streams.id, name FROM streams JOIN services ON services.id = streams.service WHERE kind = ? ORDER BY 1"
)
SERVICE_OF_STREAM = "SELECT id, service FROM streams"

# --- what the keeper records ------------------------------------------------------------------------------------------

ADD_LOOK = "INSERT INTO looks (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
# Many in one step: 1.5 times as fast, and the writer gives up and asks for the interpreter once, not a hundred times.
TOGETHER = 100
ADD_LOOKS = ADD_LOOK.replace("(?, ?)", ", ".join(["(?, ?)"] * TOGETHER))
ADD_PHASES = "INSERT INTO phases (key, phases) VALUES (?, ?) ON CONFLICT DO NOTHING"
ADD_FAILURE = """INSERT INTO failures (key, value, kind, phase, detail, phases, headers, excerpt)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"""
ADD_LINE = "INSERT INTO log (at_us, level, service, text) VALUES (?, ?, ?, ?)"
ADD_LINES = ADD_LINE.replace("(?, ?, ?, ?)", ", ".join(["(?, ?, ?, ?)"] * TOGETHER))
STATE = "SELECT state FROM standings WHERE service = ?"
ADD_TRANSITION = "INSERT INTO transitions (service, old, new, at_us, cause, failure) VALUES (?, ?, ?, ?, ?, ?)"
ADD_STANDING = """INSERT INTO standings (service, state, since_us, cause, streak, last, doubts)
    VALUES (:service, :state, :since_us, :cause, :streak, :last, :doubts) ON CONFLICT DO NOTHING"""
# Compare and swap: only from the state that was read.
SWAP_STANDING = """UPDATE standings SET state = :state, since_us = :since_us, cause = :cause, streak = :streak,
    last = coalesce(:last, last), doubts = :doubts WHERE service = :service AND state = :was"""
# A closed incident stays closed; what was told stays told.
PUT_INCIDENT = """INSERT INTO incidents
    (id, service, opened_us, closed_us, cause, parent, flaps, fell_us, told, first, actions, diagnosis, proof) VALUES
    (:id, :service, :opened_us, :closed_us, :cause, :parent, :flaps, :fell_us, :told, :first, :actions, :diagnosis, :proof)
    ON CONFLICT (id) DO UPDATE SET closed_us = excluded.closed_us, cause = excluded.cause, parent = excluded.parent,
        flaps = excluded.flaps, fell_us = excluded.fell_us,
        told = CASE WHEN excluded.told > told THEN excluded.told ELSE told END,
        actions = excluded.actions, diagnosis = excluded.diagnosis, proof = excluded.proof WHERE incidents.closed_us IS NULL"""
# Never before it opened: the clock may have been put back.
CLOSE_OTHERS = """UPDATE incidents SET closed_us = CASE WHEN opened_us > :at_us THEN opened_us ELSE :at_us END
    WHERE service = :service AND closed_us IS NULL AND id <> :id"""
ADD_NOTICE = """INSERT INTO notices (key, service, incident, opened, title, body, at_us, due_us)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"""

# --- the keeper's own presence ----------------------------------------------------------------------------------------

LAST_RUN = "SELECT id, began_us, seen_us FROM runs ORDER BY id DESC LIMIT 1"
ADD_RUN = "INSERT INTO runs (began_us, seen_us, applied) VALUES (?, ?, 0)"
DROP_RUN = "DELETE FROM runs WHERE id = ?"
SEEN = """UPDATE runs SET seen_us = CASE WHEN :now_us > seen_us THEN :now_us ELSE seen_us END, applied = :applied
    WHERE id = :id"""
APPLIED = "SELECT applied FROM runs WHERE id = ?"
RUNS = "SELECT began_us, seen_us FROM runs WHERE seen_us >= ? ORDER BY began_us"

# --- the outbox -------------------------------------------------------------------------------------------------------

CLAIM = """UPDATE notices SET claimed_by = :worker, claimed_until_us = :until_us, attempts = attempts + 1
    WHERE id IN (SELECT id FROM notices WHERE sent_us IS NULL AND (due_us <= :now_us OR due_us > :far_us)
        AND (claimed_until_us IS NULL OR claimed_until_us <= :now_us OR claimed_until_us > :far_us)
        ORDER BY id LIMIT :limit)
    RETURNING id, key, service, incident, opened, title, body, at_us"""
SENT = """UPDATE notices SET sent_us = ?, receipt = ?, claimed_by = NULL, claimed_until_us = NULL, error = NULL
    WHERE key = ? AND sent_us IS NULL"""
FAILED = """UPDATE notices SET due_us = ?, error = ?, claimed_by = NULL, claimed_until_us = NULL
    WHERE key = ? AND claimed_by = ? AND sent_us IS NULL"""
WAITING = "SELECT count(*) FROM notices WHERE sent_us IS NULL"

# --- rolling up -------------------------------------------------------------------------------------------------------

PROGRESS = "SELECT value FROM progress WHERE name = ?"
HOLD_BACK = """INSERT INTO progress (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE
    SET value = CASE WHEN excluded.value < value THEN excluded.value ELSE value END"""
GO_ON = "UPDATE progress SET value = ? WHERE name = ? AND value = ?"
NEXT_LOOK = "SELECT key FROM looks WHERE key >= ? ORDER BY key LIMIT 1"
NEXT_FAILURE = "SELECT key FROM failures WHERE key >= ? ORDER BY key LIMIT 1"
LOOKS = "SELECT key, value FROM looks WHERE key >= ? AND key < ? ORDER BY key"
NEWEST_LOOKS = "SELECT key, value FROM looks WHERE key >= ? AND key < ? ORDER BY key DESC LIMIT ?"
GET_SKETCHES = "SELECT hours FROM sketches WHERE key = ?"
GET_ROLLED = "SELECT hours FROM rolled WHERE key = ?"
PUT_SKETCHES = """INSERT INTO sketches (key, hours, day) VALUES (?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET hours = excluded.hours, day = excluded.day"""
PUT_ROLLED = """INSERT INTO rolled (key, hours, day) VALUES (?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET hours = excluded.hours, day = excluded.day"""
FIRST_TRANSITION = "SELECT at_us FROM transitions ORDER BY at_us LIMIT 1"
PUT_DAY = "INSERT INTO days (day, uptimes) VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET uptimes = excluded.uptimes"

# --- pruning: by key, a slice at a time -------------------------------------------------------------------------------

PRUNE_KEYED = "DELETE FROM {table} WHERE key IN (SELECT key FROM {table} WHERE key < ? ORDER BY key LIMIT ?)"
PRUNE_LOG = """DELETE FROM log WHERE id IN (SELECT id FROM log WHERE id <= (SELECT max(id) FROM log) - ?
    ORDER BY id LIMIT ?)"""
PRUNE_NOTICES = """DELETE FROM notices WHERE id IN (SELECT id FROM notices WHERE sent_us < ? ORDER BY id LIMIT ?)"""
PRUNE_TRANSITIONS = """DELETE FROM transitions WHERE id IN
    (SELECT id FROM transitions WHERE at_us < ? ORDER BY at_us LIMIT ?)"""
PRUNE_SEALED = """DELETE FROM sealed WHERE id IN (SELECT sealed.id FROM sealed JOIN remedies ON remedies.id = sealed.remedy
    LEFT JOIN incidents ON incidents.id = remedies.incident WHERE sealed.at_us < ? OR incidents.closed_us IS NOT NULL LIMIT ?)"""
PRUNE_RUNS = "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE seen_us < ? ORDER BY id LIMIT ?)"

# --- reading ----------------------------------------------------------------------------------------------------------

STANDINGS = """SELECT standings.service, name, state, since_us, cause, streak, last, doubts
    FROM standings JOIN services ON services.id = standings.service ORDER BY name"""
STATES = "SELECT service, state FROM standings"
COURSES = "SELECT service, old, new, at_us FROM transitions WHERE at_us >= ? ORDER BY id"
COURSE = "SELECT service, old, new, at_us FROM transitions WHERE service = ? AND at_us >= ? ORDER BY id"
STATE_OF = "SELECT service, state FROM standings WHERE service = ?"
FAILURES = """SELECT key, value, kind, phase, detail, phases, headers, excerpt FROM failures
    WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"""
PHASES = "SELECT key, phases FROM phases WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
STREAM_LOOKS = "SELECT key, value FROM looks WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
ROLLED_HOURS = "SELECT key, hours FROM rolled WHERE key >= ? AND key <= ? ORDER BY key"
ROLLED_DAYS = "SELECT key, day FROM rolled WHERE key >= ? AND key <= ? ORDER BY key"
DAY_SKETCHES = "SELECT key, day FROM sketches WHERE key >= ? AND key <= ? ORDER BY key"
DAYS = "SELECT day, uptimes FROM days WHERE day >= ? AND day <= ?"

_INCIDENT = """SELECT incidents.id, name, opened_us, closed_us, cause, parent, flaps, first, actions, told,
    diagnosis, proof, fell_us FROM incidents JOIN services ON services.id = incidents.service """
OPEN_INCIDENTS = _INCIDENT + "WHERE closed_us IS NULL ORDER BY opened_us, incidents.id"
INCIDENT = _INCIDENT + "WHERE incidents.id = ?"
INCIDENTS = _INCIDENT + "WHERE (opened_us, incidents.id) < (?, ?) ORDER BY opened_us DESC, incidents.id DESC LIMIT ?"
INCIDENTS_OF_SERVICE = INCIDENTS.replace(
    "WHERE", "WHERE incidents.service = (SELECT id FROM services WHERE name = ?) AND"
)
TRANSITIONS_OF_INCIDENT = """SELECT name, old, new, at_us, transitions.cause, failure FROM transitions
    JOIN services ON services.id = transitions.service
    WHERE name = ? AND at_us >= ? AND at_us <= ? ORDER BY transitions.id LIMIT ?"""
LINES = """SELECT log.id, at_us, level, name, text FROM log LEFT JOIN services ON services.id = log.service
    WHERE log.id < :before AND (:level IS NULL OR level = :level) ORDER BY log.id DESC LIMIT :limit"""
LINES_OF_SERVICE = """SELECT log.id, at_us, level, name, text FROM log JOIN services ON services.id = log.service
    WHERE log.service = (SELECT id FROM services WHERE name = :service) AND log.id < :before
    AND (:level IS NULL OR level = :level) ORDER BY log.id DESC LIMIT :limit"""
