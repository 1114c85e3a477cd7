-- Which events an endpoint waits for, as runs of ids: it waits for each event from the first to the last one. What comes and
-- goes in its order is one row.
DROP VIEW waiting;
ALTER TABLE deliveries RENAME TO deliveries_2;
CREATE TABLE deliveries (
    endpoint INTEGER NOT NULL,
    last INTEGER NOT NULL,
    first INTEGER NOT NULL,
    PRIMARY KEY (endpoint, last)
) WITHOUT ROWID;
INSERT INTO deliveries (endpoint, last, first)
    SELECT endpoint, max(id), min(id) FROM (
        -- The same for all ids of a run.
        SELECT endpoint, id, id - row_number() OVER (PARTITION BY endpoint ORDER BY id) AS run
        FROM deliveries_2)
    GROUP BY endpoint, run ORDER BY endpoint, run;
DROP TABLE deliveries_2;

-- How often an event was tried that waits for its next attempt, and for how long it does.
CREATE TABLE attempts (
    endpoint INTEGER NOT NULL,
    event INTEGER NOT NULL,
    failed INTEGER NOT NULL,      -- attempts of this round
    failed_at INTEGER NOT NULL,   -- the last of them: milliseconds since 1970
    wait INTEGER NOT NULL,        -- after it, milliseconds
    PRIMARY KEY (endpoint, event)
) WITHOUT ROWID;

-- The same for people: times and endpoints as text.
CREATE VIEW waiting AS
    SELECT endpoints.name AS endpoint, events.id, topic, data, node_id,
        strftime('%Y-%m-%dT%H:%M:%S', seconds, 'unixepoch') || printf('.%09dZ', nanos) AS time,
        origin_id,
        strftime('%Y-%m-%dT%H:%M:%fZ', stored_at / 1000.0, 'unixepoch') AS stored_at,
        first_id
    FROM deliveries
        CROSS JOIN events ON events.id BETWEEN deliveries.first AND deliveries.last
        JOIN endpoints ON endpoints.id = deliveries.endpoint;
