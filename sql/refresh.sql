-- This is state, not configuration, so it is not dumped. It is not in auth_providers, because a write there every
-- few minutes would empty every session's cache.
CREATE TABLE insforge_integrations.jwks_fetches (
  provider   text COLLATE "C" PRIMARY KEY,
  fetched_at timestamptz NOT NULL,
  error      text
);
COMMENT ON TABLE insforge_integrations.jwks_fetches IS
  'The result of the last refresh_provider_jwks() of each provider.';
COMMENT ON COLUMN insforge_integrations.jwks_fetches.provider IS 'Name of the provider.';
COMMENT ON COLUMN insforge_integrations.jwks_fetches.fetched_at IS 'Time of the last attempt.';
COMMENT ON COLUMN insforge_integrations.jwks_fetches.error IS
  'Why the published keys were not stored; NULL if they were.';

CREATE FUNCTION insforge_integrations.schedule_jwks_refresh(every interval DEFAULT '5 minutes') RETURNS bigint
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  seconds numeric := extract(epoch FROM every);
  minutes integer := CASE WHEN seconds BETWEEN 60 AND 86400 AND seconds % 60 = 0 THEN seconds / 60 END;
  schedule text := CASE
    WHEN minutes = 1 THEN '* * * * *'
    WHEN 60 % minutes = 0 AND minutes < 60 THEN format('*/%s * * * *', minutes)
    WHEN minutes = 60 THEN '0 * * * *'
    WHEN minutes % 60 = 0 AND 1440 % minutes = 0 AND minutes < 1440 THEN format('0 */%s * * *', minutes / 60)
    WHEN minutes = 1440 THEN '0 0 * * *'
  END;
  command constant text := 'SELECT insforge_integrations.refresh_provider_jwks()';
  cron_schedule regprocedure;
  job bigint;
BEGIN
  IF schedule IS NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'cron cannot run a job at this interval',
      DETAIL = 'The interval must be minutes that divide an hour, or hours that divide a day.',
      HINT = 'Try 5 minutes, 30 minutes or 1 hour.';
  END IF;
  -- Only a function that belongs to the extension. Anybody may own a schema named cron.
  SELECT p.oid INTO cron_schedule
    FROM pg_extension e
    JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
    JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
    WHERE e.extname = 'pg_cron' AND p.proname = 'schedule' AND p.pronargs = 3;
  IF cron_schedule IS NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = 'extension pg_cron is not installed in this database',
      DETAIL = 'pg_cron runs jobs only in the database that its setting cron.database_name names.',
      HINT = format('Install it here, or add this line to any cron on any machine: %s psql -d %s -c ''%s''',
                    schedule, current_database(), command);
  END IF;
  EXECUTE format('SELECT %s($1, $2, $3)', cron_schedule::regproc)
    INTO job USING 'insforge_integrations refresh_provider_jwks', schedule, command;
  RETURN job;
END
$$;
COMMENT ON FUNCTION insforge_integrations.schedule_jwks_refresh(interval) IS
'Makes pg_cron call refresh_provider_jwks(), and returns the job''s id.

- every: whole minutes or hours

A second call changes the interval. Without pg_cron it raises 55000, and the HINT has the line for any other cron. DROP EXTENSION ends the job.';

CREATE FUNCTION insforge_integrations.unschedule_jwks_refresh() RETURNS bigint
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  jobs regclass;
  cron_unschedule regprocedure;
  job bigint;
  ended bigint := 0;
BEGIN
  -- Only objects that belong to the extension, as above.
  SELECT c.oid, p.oid INTO jobs, cron_unschedule
    FROM pg_extension e
    JOIN pg_depend t ON t.refclassid = 'pg_extension'::regclass AND t.refobjid = e.oid AND t.deptype = 'e'
    JOIN pg_class c ON t.classid = 'pg_class'::regclass AND c.oid = t.objid AND c.relname = 'job' AND c.relkind = 'r'
    JOIN pg_depend f ON f.refclassid = 'pg_extension'::regclass AND f.refobjid = e.oid AND f.deptype = 'e'
    JOIN pg_proc p ON f.classid = 'pg_proc'::regclass AND p.oid = f.objid AND p.proname = 'unschedule'
                  AND p.pronargs = 1 AND p.proargtypes[0] = 'bigint'::regtype
    WHERE e.extname = 'pg_cron';
  IF jobs IS NOT NULL THEN
    -- Another superuser may have scheduled the job. pg_cron then ends it only by its id.
    FOR job IN EXECUTE format('SELECT jobid FROM %s WHERE jobname = $1 AND database = current_database()', jobs)
      USING 'insforge_integrations refresh_provider_jwks'
    LOOP
      EXECUTE format('SELECT %s($1)', cron_unschedule::regproc) USING job;
      ended := ended + 1;
    END LOOP;
  END IF;
  RETURN ended;
END
$$;
COMMENT ON FUNCTION insforge_integrations.unschedule_jwks_refresh() IS
'Ends the jobs that schedule_jwks_refresh() gave to pg_cron, and returns their number.

DROP EXTENSION calls it.';
