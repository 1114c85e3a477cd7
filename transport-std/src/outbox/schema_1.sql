-- What waits, in the order of its ids.
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    data TEXT,                    -- JSON, or NULL
    node_id INTEGER NOT NULL,
    seconds INTEGER NOT NULL,     -- when it happened: since 1970, and
    nanos INTEGER NOT NULL,       -- nanoseconds within the second
    origin_id INTEGER,            -- the id that its origin gave it
    stored_at INTEGER NOT NULL,   -- milliseconds since 1970
    first_id INTEGER              -- after a replay, the id it had first
);

-- What was not delivered.
CREATE TABLE dead (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    data TEXT,
    node_id INTEGER NOT NULL,
    seconds INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    origin_id INTEGER,
    stored_at INTEGER NOT NULL,
    first_id INTEGER,
    died_at INTEGER NOT NULL,     -- milliseconds since 1970
    fate TEXT NOT NULL,           -- rejected, exhausted, oversize
    attempts INTEGER NOT NULL,
    status INTEGER,               -- the last answer's, if there was one
    error TEXT,                   -- without an answer, what went wrong
    endpoint TEXT NOT NULL        -- without its query
);

-- Dead letters that somebody wants to be put back. The live outbox does it.
CREATE TABLE replays (id INTEGER PRIMARY KEY);

-- How far each source was read.
CREATE TABLE positions (
    source TEXT PRIMARY KEY,
    position TEXT NOT NULL,
    stored_at INTEGER NOT NULL
) WITHOUT ROWID;

-- The newest events with an id of their origin: what comes again is known by it.
CREATE TABLE origins (
    id INTEGER PRIMARY KEY,       -- that it was stored with
    node_id INTEGER NOT NULL,
    origin_id INTEGER NOT NULL,
    seconds INTEGER NOT NULL,
    nanos INTEGER NOT NULL
);
CREATE UNIQUE INDEX origins_by_origin ON origins (node_id, origin_id, seconds, nanos);

-- The file's whole life.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counters (name, value) VALUES
    ('accepted', 0), ('delivered', 0), ('rejected', 0), ('exhausted', 0), ('oversize', 0),
    ('replayed', 0), ('purged', 0), ('expired', 0), ('aged_out', 0), ('repeats', 0),
    ('last_id', 0), ('stored_bytes', 0), ('origins', 0);

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO meta (name, value) VALUES
    ('instance', lower(hex(randomblob(8)))),
    ('made_at', strftime('%Y-%m-%dT%H:%M:%SZ'));

-- The same for people: times as text.
CREATE VIEW waiting AS
    SELECT id, topic, data, node_id,
        strftime('%Y-%m-%dT%H:%M:%S', seconds, 'unixepoch') || printf('.%09dZ', nanos) AS time,
        origin_id,
        strftime('%Y-%m-%dT%H:%M:%fZ', stored_at / 1000.0, 'unixepoch') AS stored_at,
        first_id
    FROM events;
CREATE VIEW dead_letters AS
    SELECT id, topic, data, node_id,
        strftime('%Y-%m-%dT%H:%M:%S', seconds, 'unixepoch') || printf('.%09dZ', nanos) AS time,
        origin_id,
        strftime('%Y-%m-%dT%H:%M:%fZ', stored_at / 1000.0, 'unixepoch') AS stored_at,
        first_id,
        strftime('%Y-%m-%dT%H:%M:%fZ', died_at / 1000.0, 'unixepoch') AS died_at,
        fate, attempts, status, error, endpoint,
        id IN (SELECT id FROM replays) AS replay
    FROM dead;
