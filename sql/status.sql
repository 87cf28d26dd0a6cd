-- One number a row with its name: the form that exporters of metrics read, and that psql shows well.
CREATE VIEW insforge_integrations.status WITH (security_barrier) AS
  WITH session AS MATERIALIZED (
    SELECT s.item, s.subject, s.value, s.detail FROM insforge_integrations_internal.session_status() s
  ), extension AS (
    SELECT e.extversion FROM pg_extension e WHERE e.extname = 'insforge_integrations'
  ), unsettled AS MATERIALIZED (
    -- By the partial index.
    SELECT r.state, count(*) AS payments, min(r.created_at) FILTER (WHERE isfinite(r.created_at)) AS oldest
    FROM insforge_integrations.x402_reservations r WHERE r.state <> 'settled' GROUP BY r.state
  ), size AS MATERIALIZED (
    -- A small table is counted. For a large one the planner's own estimate is taken: rows in each page at the last
    -- ANALYZE or VACUUM, times the present number of pages.
    SELECT c.oid, p.pages <= 1000 AS is_small,
           CASE WHEN c.reltuples >= 0 AND c.relpages > 0 THEN round(c.reltuples::numeric / c.relpages * p.pages) END AS estimate
    FROM pg_class c, LATERAL (SELECT pg_relation_size(c.oid) / current_setting('block_size')::bigint AS pages) p
    WHERE c.oid IN ('insforge_integrations.x402_settlements'::regclass, 'insforge_integrations.x402_reservations'::regclass)
  ), total(item, subject, is_small, value) AS (
    SELECT 'ledger_rows', NULL, s.is_small,
           CASE WHEN s.is_small THEN (SELECT count(*) FROM insforge_integrations.x402_settlements) ELSE s.estimate END
    FROM size s WHERE s.oid = 'insforge_integrations.x402_settlements'::regclass
    UNION ALL
    SELECT 'reservations', 'settled', s.is_small,
           CASE WHEN s.is_small THEN (SELECT count(*) FROM insforge_integrations.x402_reservations r WHERE r.state = 'settled')
                ELSE s.estimate - least(s.estimate, coalesce((SELECT sum(u.payments) FROM unsettled u), 0)) END
    FROM size s WHERE s.oid = 'insforge_integrations.x402_reservations'::regclass
  )
  SELECT s.item, s.subject, s.value::numeric AS value, s.detail FROM session s WHERE s.item = 'version'
  UNION ALL
  SELECT 'version', 'sql', NULL, e.extversion FROM extension e
  UNION ALL
  SELECT 'versions_differ', NULL, (s.detail <> e.extversion)::integer, NULL
    FROM session s, extension e WHERE s.item = 'version'
  UNION ALL
  SELECT item.name, p.name, item.value, item.detail
    FROM insforge_integrations.auth_providers p
    LEFT JOIN session s ON s.item = 'provider_keys' AND s.subject = p.name
    LEFT JOIN insforge_integrations.jwks_fetches f ON f.provider = p.name
    CROSS JOIN LATERAL (VALUES
      ('provider_enabled', p.enabled::integer::numeric, p.preset, true),
      -- A disabled provider is nothing to alert on: its tokens are refused, and its keys are not fetched.
      ('provider_keys', s.value, s.detail, p.enabled),
      ('provider_keys_age_seconds', round(extract(epoch FROM clock_timestamp() - p.jwks_updated_at)), NULL, p.enabled AND p.jwks_url IS NOT NULL),
      ('provider_fetch_age_seconds', round(extract(epoch FROM clock_timestamp() - f.fetched_at)), NULL, p.enabled AND p.jwks_url IS NOT NULL),
      ('provider_fetch_failed', (f.error IS NOT NULL)::integer, f.error, p.enabled AND p.jwks_url IS NOT NULL)
    ) AS item (name, value, detail, applies)
    WHERE item.applies
  UNION ALL
  SELECT s.item, s.subject, s.value, s.detail FROM session s WHERE s.item IN ('cache_hits', 'cache_misses')
  UNION ALL
  SELECT t.item, t.subject, t.value,
         CASE WHEN t.value IS NULL THEN 'Not known before the next ANALYZE of the table.' WHEN NOT t.is_small THEN 'estimated' END
    FROM total t
  UNION ALL
  SELECT item.name, state.name, item.value, NULL
    FROM unnest('{reserved, pending, conflict, failed}'::text[]) AS state (name)
    LEFT JOIN unsettled u ON u.state = state.name
    CROSS JOIN LATERAL (VALUES
      ('reservations', coalesce(u.payments, 0)),
      ('reservations_oldest_seconds', round(extract(epoch FROM clock_timestamp() - u.oldest)))
    ) AS item (name, value);
COMMENT ON VIEW insforge_integrations.status IS
'Numbers to monitor and to alert on, one a row.

The page on operation lists them. The caches are those of the session that asks. No row has a secret or a token.';
COMMENT ON COLUMN insforge_integrations.status.item IS 'What the number says.';
COMMENT ON COLUMN insforge_integrations.status.subject IS 'Of what: the name of a provider, a state, a cache; NULL if there is only one.';
COMMENT ON COLUMN insforge_integrations.status.value IS 'The number; NULL if there is none.';
COMMENT ON COLUMN insforge_integrations.status.detail IS 'A text beside it: a version, an error, or estimated.';
