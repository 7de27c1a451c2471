-- The audit table, chained by the client.
CREATE TABLE IF NOT EXISTS entry (
    seq int8 PRIMARY KEY,
    id bytea NOT NULL UNIQUE,
    header bytea NOT NULL,
    payload bytea NOT NULL
);

-- The same, chained in the database: what 64 connections write to.
CREATE TABLE IF NOT EXISTS audit (
    seq int8 PRIMARY KEY,
    id bytea NOT NULL UNIQUE,
    header bytea NOT NULL,
    payload bytea NOT NULL
);

-- Two writers that read the same end of the chain would fork it, so one waits until the other is
-- committed: the lock is held until then. The hash is SHA-256, because the database knows no BLAKE3.
CREATE OR REPLACE FUNCTION audit_append(new_id bytea, digest bytea, new_payload bytea)
RETURNS int8 LANGUAGE plpgsql AS $$
DECLARE
    place int8;
    parent bytea;
BEGIN
    PERFORM pg_advisory_xact_lock(1);
    SELECT seq INTO place FROM audit WHERE id = new_id;
    IF FOUND THEN
        RETURN place;
    END IF;
    SELECT seq + 1, sha256(header) INTO place, parent FROM audit ORDER BY seq DESC LIMIT 1;
    IF NOT FOUND THEN
        place := 0;
        parent := decode(repeat('00', 32), 'hex');
    END IF;
    INSERT INTO audit (seq, id, header, payload) VALUES (
        place, new_id,
        '\x01'::bytea || int8send(place) || int8send(1767225600000000) || parent || digest,
        new_payload
    );
    RETURN place;
END $$;

-- No chain, and places that may have gaps: no ledger, but what the server can do without the lock.
CREATE SEQUENCE IF NOT EXISTS loose_seq;
CREATE TABLE IF NOT EXISTS loose (
    seq int8 PRIMARY KEY DEFAULT nextval('loose_seq'),
    id bytea NOT NULL UNIQUE,
    header bytea NOT NULL,
    payload bytea NOT NULL
);
CREATE OR REPLACE FUNCTION loose_append(new_id bytea, digest bytea, new_payload bytea)
RETURNS int8 LANGUAGE sql AS $$
    INSERT INTO loose (id, header, payload)
    VALUES (new_id, decode(repeat('00', 49), 'hex') || digest, new_payload)
    RETURNING seq
$$;

-- How many entries there are, and how many of them break the chain.
CREATE OR REPLACE FUNCTION audit_verify(OUT entries int8, OUT broken int8) LANGUAGE sql AS $$
    SELECT count(*), count(*) FILTER (
        WHERE place <> seq
        OR substr(header, 18, 32) <> coalesce(expected, decode(repeat('00', 32), 'hex'))
        OR substr(header, 50, 32) <> sha256(payload)
    )
    FROM (
        SELECT *, row_number() OVER chain - 1 AS place,
            lag(sha256(header)) OVER chain AS expected
        FROM audit WINDOW chain AS (ORDER BY seq)
    ) AS linked
$$;
