-- The schema of a store, version 1. Names and ids are encoded as file names are, event names and
-- keys as `names.rs` does.

-- One row: the end of the log. Whoever appends locks it, so positions are dense and in the order of
-- commits.
CREATE TABLE head (
    one bool PRIMARY KEY DEFAULT true CHECK (one),
    -- The position of the newest event.
    position bigint NOT NULL DEFAULT 0,
    -- The checksum of all events, chained from batch to batch.
    chain bigint NOT NULL DEFAULT 0
);
INSERT INTO head DEFAULT VALUES;

-- One row for each store that has opened the schema lately: what became of its newest batch. A store
-- whose connection was lost looks here whether the batch is stored.
CREATE TABLE writers (
    writer bigint PRIMARY KEY,
    batch bigint NOT NULL DEFAULT 0,
    -- The answer of `append` to that batch.
    before bigint,
    refused int[],
    actual bigint[],
    head bigint,
    chain bigint,
    seen timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE streams (
    type text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    -- Of its newest event.
    position bigint NOT NULL,
    PRIMARY KEY (type, id)
);

CREATE TABLE events (
    position bigint PRIMARY KEY,
    -- The position of the last event of its commit.
    commit bigint NOT NULL,
    -- Which of the commit's events it is, from 1 on.
    place int NOT NULL,
    -- Null for events that belong to no stream.
    type text COLLATE "C",
    id text COLLATE "C",
    version bigint,
    name text COLLATE "C" NOT NULL,
    -- The idempotency key of its command.
    key text COLLATE "C",
    -- Its tags, the aggregate's name among them; null if it has none but that.
    tags text[] COLLATE "C",
    -- The event as JSON.
    line text NOT NULL,
    -- The checksum of `line` without its last byte, seeded with the stream's name.
    sum bigint NOT NULL,
    -- The chained checksum of the batch that it was stored in.
    chain bigint NOT NULL,
    UNIQUE (type, id, version)
);
CREATE INDEX events_key ON events USING hash (key) WHERE key IS NOT NULL AND type IS NULL;

CREATE TABLE tags (
    tag text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (tag, position)
);

CREATE TABLE snapshots (
    type text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL,
    -- The sum of the event at this version: a snapshot counts only if the stream has that event.
    event_sum bigint NOT NULL,
    content text NOT NULL,
    sum bigint NOT NULL,
    PRIMARY KEY (type, id)
);

-- What projections and process managers keep. A record that grows has several parts.
CREATE TABLE records (
    kind text COLLATE "C" NOT NULL,
    follower text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    part bigint NOT NULL,
    content bytea NOT NULL,
    -- What it was saved in, if only the runner of the follower may save it.
    term bigint,
    -- The order of saves: of one term, or of a state that all stores save, by its position in the log.
    place bigint,
    PRIMARY KEY (kind, follower, name, part)
);

-- Which store runs a follower, where only one may.
CREATE TABLE leases (
    kind text COLLATE "C" NOT NULL,
    follower text COLLATE "C" NOT NULL,
    -- Each change raises it. Others see by it that the holder is alive.
    revision bigint NOT NULL,
    -- The number of the holder's term, 0 if there is no holder.
    term bigint NOT NULL,
    -- What the holder says of itself, as JSON.
    sign text NOT NULL,
    PRIMARY KEY (kind, follower)
);

-- Begins a term, unless the lease has changed since `p_revision`. Waits until nothing that carries the
-- term before is under way.
CREATE FUNCTION take_lease(
    p_kind text, p_follower text, p_revision bigint, p_term bigint, p_sign text
) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    IF p_revision = 0 THEN
        INSERT INTO leases VALUES (p_kind, p_follower, 0, 0, '') ON CONFLICT DO NOTHING;
    END IF;
    -- The same term again is a repeated attempt.
    UPDATE leases SET revision = revision + 1, term = p_term, sign = p_sign
        WHERE kind = p_kind AND follower = p_follower AND (revision = p_revision OR term = p_term);
    RETURN FOUND;
END $$;

-- Whether a term goes on. It does until the end of the transaction.
CREATE FUNCTION is_in_term(p_kind text, p_follower text, p_term bigint) RETURNS bool
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM leases
        WHERE kind = p_kind AND follower = p_follower AND term = p_term FOR SHARE;
    RETURN FOUND;
END $$;

-- Fails if `p_term` has ended. Null stands for a change that needs none.
CREATE FUNCTION check_term(p_kind text, p_follower text, p_term bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF p_term IS NOT NULL AND NOT is_in_term(p_kind, p_follower, p_term) THEN
        RAISE EXCEPTION 'another process runs the % `%` now', p_kind, p_follower
            USING ERRCODE = 'EF003';
    END IF;
END $$;

-- Whether the record has been replaced since, in the same term.
CREATE FUNCTION is_late(
    p_kind text, p_follower text, p_name text, p_term bigint, p_place bigint
) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM records
        WHERE kind = p_kind AND follower = p_follower AND name = p_name AND part = 0
            AND term IS NOT DISTINCT FROM p_term AND place > p_place
        FOR NO KEY UPDATE;
    RETURN FOUND;
END $$;

-- What was saved later stays, by `p_place`: the attempt may be one that was given up long ago.
CREATE FUNCTION replace_record(
    p_kind text, p_follower text, p_name text, p_content bytea, p_term bigint, p_place bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM check_term(p_kind, p_follower, p_term);
    IF is_late(p_kind, p_follower, p_name, p_term, p_place) THEN
        RETURN;
    END IF;
    DELETE FROM records
        WHERE kind = p_kind AND follower = p_follower AND name = p_name AND part > 0;
    INSERT INTO records VALUES (p_kind, p_follower, p_name, 0, p_content, p_term, p_place)
        ON CONFLICT (kind, follower, name, part) DO UPDATE
            SET content = excluded.content, term = excluded.term, place = excluded.place;
END $$;

CREATE FUNCTION add_to_record(
    p_kind text, p_follower text, p_name text, p_part bigint, p_content bytea, p_term bigint,
    p_place bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM check_term(p_kind, p_follower, p_term);
    IF is_late(p_kind, p_follower, p_name, p_term, p_place) THEN
        RETURN;
    END IF;
    -- The same part again is a repeated attempt.
    INSERT INTO records VALUES (p_kind, p_follower, p_name, p_part, p_content)
        ON CONFLICT (kind, follower, name, part) DO UPDATE SET content = excluded.content;
END $$;

CREATE FUNCTION remove_record(
    p_kind text, p_follower text, p_name text, p_term bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM check_term(p_kind, p_follower, p_term);
    DELETE FROM records WHERE kind = p_kind AND follower = p_follower AND name = p_name;
END $$;

CREATE FUNCTION save_snapshot(
    p_type text, p_id text, p_version bigint, p_position bigint, p_content text, p_sum bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO snapshots AS s
        SELECT e.type, e.id, e.version, e.position, e.sum, p_content, p_sum FROM events e
        WHERE e.type = p_type AND e.id = p_id AND e.version = p_version AND e.position = p_position
        ON CONFLICT (type, id) DO UPDATE SET version = excluded.version,
            position = excluded.position, event_sum = excluded.event_sum,
            content = excluded.content, sum = excluded.sum
        WHERE s.version <= excluded.version;
END $$;

-- The positions of events that a query selects, at most `p_limit` for each item of the query, in
-- order. A query has items with `types`, `tags`, and the streams of which the only tag is the name.
CREATE FUNCTION find(
    p_query jsonb, p_after bigint, p_until bigint, p_backwards bool, p_limit int
) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
DECLARE
    v_item record;
    v_order text := CASE WHEN p_backwards THEN 'DESC' ELSE 'ASC' END;
    v_name text;
BEGIN
    IF p_query IS NULL THEN
        RETURN QUERY EXECUTE format(
            'SELECT position FROM events WHERE position > $1 AND position <= $2
             ORDER BY position %s LIMIT $3', v_order) USING p_after, p_until, p_limit;
        RETURN;
    END IF;
    FOR v_item IN SELECT * FROM jsonb_to_recordset(p_query)
        AS item(types text[], tags text[], stream_types text[], stream_ids text[])
    LOOP
        v_name := CASE WHEN v_item.types IS NULL THEN '' ELSE ' AND e.name = ANY($4)' END;
        IF v_item.tags IS NULL THEN
            RETURN QUERY EXECUTE format(
                'SELECT e.position FROM events e WHERE e.position > $1 AND e.position <= $2 %s
                 ORDER BY e.position %s LIMIT $3', v_name, v_order)
                USING p_after, p_until, p_limit, v_item.types;
            CONTINUE;
        END IF;
        RETURN QUERY EXECUTE format(
            'SELECT t.position FROM tags t JOIN events e ON e.position = t.position
             WHERE t.tag = $5[1] AND t.position > $1 AND t.position <= $2 AND e.tags @> $5 %s
             ORDER BY t.position %s LIMIT $3', v_name, v_order)
            USING p_after, p_until, p_limit, v_item.types, v_item.tags;
        FOR i IN 1 .. coalesce(cardinality(v_item.stream_types), 0) LOOP
            RETURN QUERY EXECUTE format(
                'SELECT e.position FROM events e WHERE e.type = $5 AND e.id = $6
                 AND e.tags IS NULL AND e.position > $1 AND e.position <= $2 %s
                 ORDER BY e.version %s LIMIT $3', v_name, v_order)
                USING p_after, p_until, p_limit, v_item.types,
                    v_item.stream_types[i], v_item.stream_ids[i];
        END LOOP;
    END LOOP;
END $$;

-- Whether an event after `p_after` matches the query. Most often there are few such events.
CREATE FUNCTION is_selected(p_query jsonb, p_after bigint, p_head bigint) RETURNS bool
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF p_after >= p_head THEN
        RETURN false;
    END IF;
    IF p_query IS NULL THEN
        RETURN true;
    END IF;
    IF p_head - p_after > 200 THEN
        RETURN EXISTS (SELECT FROM find(p_query, p_after, p_head, true, 1));
    END IF;
    RETURN EXISTS (
        SELECT FROM events e, jsonb_to_recordset(p_query)
            AS item(types text[], tags text[], stream_types text[], stream_ids text[])
        WHERE e.position > p_after
            AND (item.types IS NULL OR e.name = ANY(item.types))
            AND (item.tags IS NULL OR e.tags @> item.tags OR (e.tags IS NULL AND EXISTS (
                SELECT FROM unnest(item.stream_types, item.stream_ids) AS s(type, id)
                WHERE s.type = e.type AND s.id = e.id)))
    );
END $$;

-- Where stores of this schema hear of new events.
CREATE FUNCTION channel() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT 'eventfold_' || md5(current_schema());
$$;

-- The checksum after a chain's next events.
CREATE FUNCTION next_chain(p_chain bigint, p_sums bigint[]) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT ('x' || encode(substr(sha256(int8send(p_chain) || array_send(p_sums)), 1, 8), 'hex'))
        ::bit(64)::bigint;
$$;

-- Moves the end of the log, and notes the outcome of a batch. The store wakes the others afterwards: a
-- transaction that notifies keeps all others that do so, of any database, waiting until it is durable.
CREATE FUNCTION end_batch(
    p_writer bigint, p_batch bigint, p_before bigint, p_refused int[], p_actual bigint[],
    p_head bigint, p_chain bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE writers SET batch = p_batch, before = p_before, refused = p_refused, actual = p_actual,
        head = p_head, chain = p_chain, seen = now()
        WHERE writer = p_writer;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the schema does not know this store any more' USING ERRCODE = 'EF001';
    END IF;
    IF p_head > p_before THEN
        UPDATE head SET position = p_head, chain = p_chain WHERE one;
    END IF;
END $$;

-- Appends a batch of commits and returns the position before it, which commits it refused (with the
-- actual version of a stream, -1 for a condition that does not hold, or -2 if its term has ended), and the new end of the log.
--
-- The arrays have the parts of each commit (one a stream; an empty type is none), each stream once (with its
-- version before and after the commits, and the number of its newest event, 0 for none), the events of each commit and its
-- conditions, in order. `event_key` and `event_tags` are null if no event has any. A commit of a process
-- manager has a term. `p_plain` promises that there is no condition, no key of
-- events without a stream, and that the commits of each stream follow each other: then all are stored by a few statements, unless one of them is to
-- be refused.
CREATE FUNCTION append(
    p_writer bigint, p_batch bigint, p_synced bool, p_plain bool,
    commit_parts int[], commit_events int[], commit_clauses int[],
    part_type text[], part_id text[], part_expected bigint[], part_follows int[],
    stream_type text[], stream_id text[], stream_expected bigint[], stream_version bigint[], stream_event int[],
    event_last int[], event_place int[], event_type text[], event_id text[], event_version bigint[], event_name text[],
    event_key text[], event_tags text[], event_line text[], event_sum bigint[],
    clause_query text[], clause_after bigint[], clause_basis int[],
    term_commit int[], term_follower text[], term_number bigint[],
    OUT p_before bigint, OUT p_refused int[], OUT p_actual bigint[], OUT p_head bigint,
    OUT p_chain bigint
) LANGUAGE plpgsql
-- The plans hardly depend on the arrays, and making them takes longer than storing an event.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    v_version bigint;
    v_refusal bigint;
    v_part int := 0;
    v_term int;
    v_event int := 0;
    v_clause int := 0;
    v_after bigint;
    -- The position after each commit, null if it was refused.
    v_ends bigint[] := '{}';
    v_is_refused bool;
    v_has_new bool;
    v_has_old bool;
BEGIN
    IF p_synced AND
        (current_setting('synchronous_commit') = 'off' OR current_setting('fsync') = 'off')
    THEN
        RAISE EXCEPTION 'the server does not make commits durable before it answers'
            USING ERRCODE = 'EF002';
    END IF;
    SELECT position, chain INTO STRICT p_before, p_chain FROM head WHERE one FOR NO KEY UPDATE;
    p_head := p_before;
    p_refused := '{}';
    p_actual := '{}';

    IF p_plain AND (cardinality(term_commit) = 0 OR (
        SELECT bool_and(is_in_term('process manager', t.follower, t.number))
        FROM (SELECT DISTINCT * FROM unnest(term_follower, term_number)) AS t(follower, number)))
    THEN
        SELECT bool_or(b.expected <> coalesce(s.version, 0)), bool_or(b.expected = 0), bool_or(b.expected > 0)
        INTO v_is_refused, v_has_new, v_has_old
        FROM unnest(stream_type, stream_id, stream_expected) AS b(type, id, expected)
        LEFT JOIN streams s ON s.type = b.type AND s.id = b.id;
        IF v_is_refused IS NOT TRUE THEN
            IF cardinality(event_sum) > 0 THEN
                p_chain := next_chain(p_chain, event_sum);
            END IF;
            INSERT INTO events
            SELECT p_before + e.n, p_before + e.last, e.place, nullif(e.type, ''), nullif(e.id, ''),
                CASE WHEN e.type <> '' THEN e.version END,
                e.name, e.key, e.tags::text[], e.line, e.sum, p_chain
            FROM unnest(event_last, event_place, event_type, event_id, event_version, event_name, event_key,
                event_tags, event_line, event_sum)
                WITH ORDINALITY AS e(last, place, type, id, version, name, key, tags, line, sum, n);
            IF event_tags IS NOT NULL THEN
                INSERT INTO tags
                SELECT DISTINCT unnest(e.tags::text[]), p_before + e.n
                FROM unnest(event_tags) WITH ORDINALITY AS e(tags, n) WHERE e.tags IS NOT NULL;
            END IF;
            -- Cheaper than one statement for both, which would lock each row before it changes it.
            IF v_has_new THEN
                INSERT INTO streams
                SELECT b.type, b.id, b.version, p_before + b.event
                FROM unnest(stream_type, stream_id, stream_expected, stream_version, stream_event)
                    AS b(type, id, expected, version, event)
                WHERE b.expected = 0 AND b.event > 0;
            END IF;
            IF v_has_old THEN
                UPDATE streams s SET version = b.version, position = p_before + b.event
                FROM unnest(stream_type, stream_id, stream_expected, stream_version, stream_event)
                    AS b(type, id, expected, version, event)
                WHERE b.expected > 0 AND b.event > 0 AND s.type = b.type AND s.id = b.id;
            END IF;
            p_head := p_before + cardinality(event_sum);
            PERFORM end_batch(p_writer, p_batch, p_before, p_refused, p_actual, p_head, p_chain);
            RETURN;
        END IF;
    END IF;

    FOR c IN 1 .. cardinality(commit_parts) LOOP
        v_refusal := NULL;
        IF c = ANY(term_commit) THEN
            v_term := array_position(term_commit, c);
            IF NOT is_in_term('process manager', term_follower[v_term], term_number[v_term])
            THEN
                v_refusal := -2;
            END IF;
        END IF;
        FOR p IN v_part + 1 .. v_part + commit_parts[c] LOOP
            CONTINUE WHEN part_type[p] = '';
            EXIT WHEN v_refusal IS NOT NULL;
            SELECT s.version INTO v_version FROM streams s
                WHERE s.type = part_type[p] AND s.id = part_id[p];
            -- What follows a refused commit is refused too, also where others have stored as many events.
            IF coalesce(v_version, 0) <> part_expected[p]
                OR (part_follows[p] > 0 AND v_ends[part_follows[p]] IS NULL)
            THEN
                v_refusal := coalesce(v_version, 0);
                EXIT;
            END IF;
        END LOOP;
        v_part := v_part + commit_parts[c];
        FOR k IN v_clause + 1 .. v_clause + commit_clauses[c] LOOP
            EXIT WHEN v_refusal IS NOT NULL;
            v_after := coalesce(clause_after[k], v_ends[clause_basis[k]]);
            IF v_after IS NULL OR is_selected(clause_query[k]::jsonb, v_after, p_head) THEN
                v_refusal := -1;
            END IF;
        END LOOP;
        v_clause := v_clause + commit_clauses[c];
        -- A key of events that belong to no stream is used once.
        IF v_refusal IS NULL AND EXISTS (
            SELECT FROM generate_series(v_event + 1, v_event + commit_events[c]) AS n
            JOIN events e ON e.key = event_key[n] AND e.type IS NULL
            WHERE event_type[n] = '' AND event_key[n] IS NOT NULL)
        THEN
            v_refusal := -1;
        END IF;

        IF v_refusal IS NOT NULL THEN
            p_refused := p_refused || c;
            p_actual := p_actual || v_refusal;
            v_ends := v_ends || NULL::bigint;
        ELSE
            IF commit_events[c] > 0 THEN
                p_chain := next_chain(p_chain, event_sum[v_event + 1 : v_event + commit_events[c]]);
            END IF;
            FOR e IN v_event + 1 .. v_event + commit_events[c] LOOP
                INSERT INTO events VALUES (
                    p_head + e - v_event, p_head + commit_events[c], event_place[e],
                    nullif(event_type[e], ''), nullif(event_id[e], ''),
                    CASE WHEN event_type[e] <> '' THEN event_version[e] END,
                    event_name[e], event_key[e], event_tags[e]::text[], event_line[e], event_sum[e],
                    p_chain);
                IF event_tags[e] IS NOT NULL THEN
                    INSERT INTO tags
                    SELECT DISTINCT unnest(event_tags[e]::text[]), p_head + e - v_event;
                END IF;
                IF event_type[e] <> '' THEN
                    INSERT INTO streams VALUES
                        (event_type[e], event_id[e], event_version[e], p_head + e - v_event)
                    ON CONFLICT (type, id) DO UPDATE
                        SET version = excluded.version, position = excluded.position;
                END IF;
            END LOOP;
            p_head := p_head + commit_events[c];
            v_ends := v_ends || p_head;
        END IF;
        v_event := v_event + commit_events[c];
    END LOOP;
    PERFORM end_batch(p_writer, p_batch, p_before, p_refused, p_actual, p_head, p_chain);
END $$;
