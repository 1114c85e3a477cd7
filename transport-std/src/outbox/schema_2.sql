-- Who gets events, with the account of each over the file's whole life. A row stays when its endpoint is removed.
CREATE TABLE endpoints (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    accepted INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    exhausted INTEGER NOT NULL DEFAULT 0,
    oversize INTEGER NOT NULL DEFAULT 0,
    replayed INTEGER NOT NULL DEFAULT 0,
    purged INTEGER NOT NULL DEFAULT 0,    -- dead letters that somebody removed
    removed INTEGER NOT NULL DEFAULT 0,   -- what waited when the endpoint was removed
    expired INTEGER NOT NULL DEFAULT 0,
    aged_out INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0,   -- while the backlog had reached its bound
    stored_bytes INTEGER NOT NULL DEFAULT 0
);
-- All that is there is for the one endpoint that there was.
INSERT INTO endpoints (id, name) VALUES (1, 'pilot');
UPDATE endpoints SET
    accepted = (SELECT value FROM counters WHERE name = 'accepted'),
    delivered = (SELECT value FROM counters WHERE name = 'delivered'),
    rejected = (SELECT value FROM counters WHERE name = 'rejected'),
    exhausted = (SELECT value FROM counters WHERE name = 'exhausted'),
    oversize = (SELECT value FROM counters WHERE name = 'oversize'),
    replayed = (SELECT value FROM counters WHERE name = 'replayed'),
    purged = (SELECT value FROM counters WHERE name = 'purged'),
    expired = (SELECT value FROM counters WHERE name = 'expired'),
    aged_out = (SELECT value FROM counters WHERE name = 'aged_out'),
    stored_bytes = (SELECT value FROM counters WHERE name = 'stored_bytes');
DELETE FROM counters WHERE name NOT IN ('repeats', 'last_id', 'stored_bytes', 'origins');
INSERT INTO counters (name, value) SELECT 'events', count(*) FROM events;

DROP VIEW waiting;
DROP VIEW dead_letters;

-- Which endpoints an event waits for.
CREATE TABLE deliveries (
    endpoint INTEGER NOT NULL,
    id INTEGER NOT NULL,          -- of the event
    PRIMARY KEY (endpoint, id)
) WITHOUT ROWID;
INSERT INTO deliveries (endpoint, id) SELECT 1, id FROM events ORDER BY id;
-- How many they are. With the last of them the event goes.
ALTER TABLE events ADD COLUMN due INTEGER NOT NULL DEFAULT 1;

ALTER TABLE dead RENAME TO dead_1;
CREATE TABLE dead (
    endpoint INTEGER NOT NULL,    -- that did not get it
    id INTEGER NOT NULL,
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
    url TEXT NOT NULL,            -- where it was sent to, without its query
    PRIMARY KEY (endpoint, id)
);
INSERT INTO dead
    SELECT 1, id, topic, data, node_id, seconds, nanos, origin_id, stored_at, first_id,
        died_at, fate, attempts, status, error, endpoint
    FROM dead_1 ORDER BY id;
DROP TABLE dead_1;

ALTER TABLE replays RENAME TO replays_1;
CREATE TABLE replays (
    endpoint INTEGER NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (endpoint, id)
) WITHOUT ROWID;
INSERT INTO replays (endpoint, id) SELECT 1, id FROM replays_1;
DROP TABLE replays_1;

-- The same for people: times and endpoints as text.
CREATE VIEW waiting AS
    SELECT endpoints.name AS endpoint, events.id, topic, data, node_id,
        strftime('%Y-%m-%dT%H:%M:%S', seconds, 'unixepoch') || printf('.%09dZ', nanos) AS time,
        origin_id,
        strftime('%Y-%m-%dT%H:%M:%fZ', stored_at / 1000.0, 'unixepoch') AS stored_at,
        first_id
    FROM deliveries
        CROSS JOIN events ON events.id = deliveries.id
        JOIN endpoints ON endpoints.id = deliveries.endpoint;
CREATE VIEW dead_letters AS
    SELECT endpoints.name AS endpoint, dead.id, topic, data, node_id,
        strftime('%Y-%m-%dT%H:%M:%S', seconds, 'unixepoch') || printf('.%09dZ', nanos) AS time,
        origin_id,
        strftime('%Y-%m-%dT%H:%M:%fZ', stored_at / 1000.0, 'unixepoch') AS stored_at,
        first_id,
        strftime('%Y-%m-%dT%H:%M:%fZ', died_at / 1000.0, 'unixepoch') AS died_at,
        fate, attempts, status, error, url,
        EXISTS (SELECT 1 FROM replays
                WHERE replays.endpoint = dead.endpoint AND replays.id = dead.id) AS replay
    FROM dead JOIN endpoints ON endpoints.id = dead.endpoint;
