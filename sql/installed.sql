-- The functions, views and triggers as the install script made them. With them a replacement is refused, or found and undone.
-- Not dumped, because a restore runs the install script again.
CREATE TABLE insforge_integrations.installed_objects (
  identity   text COLLATE "C" PRIMARY KEY,
  kind       text NOT NULL CHECK (kind IN ('function', 'view', 'trigger', 'event trigger')),
  definition text NOT NULL,
  pg_major   integer NOT NULL
);
COMMENT ON TABLE insforge_integrations.installed_objects IS
'The functions, views and triggers of this extension as they were installed.

restore_installed_objects() restores them.';
COMMENT ON COLUMN insforge_integrations.installed_objects.identity IS 'Name with schema, and the types of the arguments.';
COMMENT ON COLUMN insforge_integrations.installed_objects.kind IS 'function, view, trigger or event trigger.';
COMMENT ON COLUMN insforge_integrations.installed_objects.definition IS 'The statement that creates the object as it was installed.';
COMMENT ON COLUMN insforge_integrations.installed_objects.pg_major IS 'The version of Postgres that wrote the statement. Another version may write it differently.';

CREATE FUNCTION insforge_integrations_internal.compare_installed_objects(
    OUT identity text, OUT kind text, OUT installed text, OUT present text, OUT class_id oid, OUT object_id oid, OUT is_as_installed boolean)
  RETURNS SETOF record
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
  -- All settings that decide how Postgres writes a definition.
  SET quote_all_identifiers = off
  SET standard_conforming_strings = on
  SET "IntervalStyle" = postgres
  SET "DateStyle" = 'ISO, YMD'
  SET "TimeZone" = 'UTC'
  SET bytea_output = hex
  SET extra_float_digits = 1
AS $$
  WITH member AS (
    SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'insforge_integrations'
  ), firing(state, name) AS (
    VALUES ('O'::"char", 'ENABLE'), ('A', 'ENABLE ALWAYS'), ('R', 'ENABLE REPLICA'), ('D', 'DISABLE')
  ), defined(classid, objid, kind, definition) AS (
    SELECT m.classid, m.objid, 'function', pg_get_functiondef(m.objid) FROM member m WHERE m.classid = 'pg_proc'::regclass
    UNION ALL
    SELECT m.classid, m.objid, 'view',
           format('CREATE OR REPLACE VIEW %s%s AS %s', c.oid::regclass, ' WITH (' || array_to_string(c.reloptions, ', ') || ')', pg_get_viewdef(c.oid))
      FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid WHERE c.relkind = 'v'
    UNION ALL
    -- A new trigger fires as usual. A view's trigger has no such option.
    SELECT 'pg_trigger'::regclass, t.oid, 'trigger',
           concat(regexp_replace(pg_get_triggerdef(t.oid), '^CREATE', 'CREATE OR REPLACE'),
                  CASE WHEN t.tgenabled <> 'O' THEN format('; ALTER TABLE %s %s TRIGGER %I', t.tgrelid::regclass, f.name, t.tgname) END)
      FROM member m JOIN pg_trigger t ON m.classid = 'pg_class'::regclass AND t.tgrelid = m.objid JOIN firing f ON f.state = t.tgenabled
      WHERE NOT t.tgisinternal
    UNION ALL
    SELECT m.classid, m.objid, 'event trigger', format('ALTER EVENT TRIGGER %I %s', t.evtname, f.name)
      FROM member m JOIN pg_event_trigger t ON m.classid = 'pg_event_trigger'::regclass AND t.oid = m.objid JOIN firing f ON f.state = t.evtenabled
  ), present AS (
    SELECT d.*, o.identity FROM defined d, pg_identify_object(d.classid, d.objid, 0) o
  )
  SELECT coalesce(i.identity, p.identity), coalesce(i.kind, p.kind), i.definition, p.definition, p.classid, p.objid,
         coalesce(CASE
           WHEN i.pg_major = current_setting('server_version_num')::integer / 10000 THEN i.definition = p.definition
           -- The source text is the same in every version.
           ELSE strpos(i.definition, coalesce((SELECT f.prosrc FROM pg_proc f WHERE p.kind = 'function' AND f.oid = p.objid), '')) > 0
         END AND p.objid IS NOT NULL, false)
  FROM insforge_integrations.installed_objects i FULL JOIN present p ON p.identity = i.identity AND p.kind = i.kind
$$;
COMMENT ON FUNCTION insforge_integrations_internal.compare_installed_objects() IS
  'Compares the functions, views and triggers of this extension with those that were installed. advise() and the event trigger use it.';

CREATE FUNCTION insforge_integrations_internal.note_installed_objects() RETURNS void
  LANGUAGE sql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
  WITH found AS MATERIALIZED (
    SELECT c.identity, c.kind, c.present FROM insforge_integrations_internal.compare_installed_objects() c WHERE c.present IS NOT NULL
  ), gone AS (
    DELETE FROM insforge_integrations.installed_objects i WHERE i.identity NOT IN (SELECT f.identity FROM found f)
  )
  INSERT INTO insforge_integrations.installed_objects
  SELECT f.identity, f.kind, f.present, current_setting('server_version_num')::integer / 10000 FROM found f
  ON CONFLICT (identity) DO UPDATE SET kind = excluded.kind, definition = excluded.definition, pg_major = excluded.pg_major;
  -- PostgREST learns of the functions at commit. A worker of Citus has no PostgREST, and Citus prepares its transaction,
  -- which Postgres refuses after a NOTIFY.
  SELECT pg_notify('pgrst', 'reload schema') WHERE current_setting('application_name') NOT LIKE 'citus\_%'
$$;
COMMENT ON FUNCTION insforge_integrations_internal.note_installed_objects() IS
  'Notes the present functions, views and triggers of this extension as the installed ones, and tells PostgREST to look for them. The install script and each upgrade script end with it.';

CREATE FUNCTION insforge_integrations.restore_installed_objects() RETURNS SETOF text
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  changed record;
BEGIN
  FOR changed IN
    SELECT c.* FROM insforge_integrations_internal.compare_installed_objects() c
    WHERE NOT c.is_as_installed AND c.installed IS NOT NULL ORDER BY c.kind, c.identity
  LOOP
    EXECUTE changed.installed;
    -- In an upgrade script, created objects belong to the extension without this.
    IF changed.kind IN ('function', 'view') AND NOT EXISTS (
      SELECT FROM insforge_integrations_internal.compare_installed_objects() c
      WHERE c.identity = changed.identity AND c.object_id IS NOT NULL
    ) THEN
      EXECUTE format('ALTER EXTENSION insforge_integrations ADD %s %s', changed.kind, changed.identity);
    END IF;
    RETURN NEXT changed.identity;
  END LOOP;
  IF FOUND THEN
    PERFORM insforge_integrations.grant_to_insforge_roles();
  END IF;
END
$$;
COMMENT ON FUNCTION insforge_integrations.restore_installed_objects() IS
'Restores the functions, views and triggers of this extension that somebody changed.

Returns the names of those that were replaced, changed or disabled. Restores their privileges, too.';

CREATE FUNCTION insforge_integrations_internal.keep_installed_objects() RETURNS event_trigger
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  changed text;
BEGIN
  SELECT c.object_identity INTO changed
  FROM pg_event_trigger_ddl_commands() c
    JOIN pg_depend d ON d.classid = c.classid AND d.objid = c.objid
                    AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'insforge_integrations'
  WHERE NOT c.in_extension;
  -- Checked only now: statements on other functions and views do not get here.
  IF changed IS NULL OR NOT EXISTS (
    SELECT FROM pg_event_trigger_ddl_commands() c
      JOIN insforge_integrations_internal.compare_installed_objects() o ON o.class_id = c.classid AND o.object_id = c.objid
    WHERE NOT o.is_as_installed
  ) THEN
    RETURN;
  END IF;
  RAISE EXCEPTION USING
    ERRCODE = 'object_not_in_prerequisite_state',
    MESSAGE = format('%s belongs to extension insforge_integrations', changed),
    DETAIL = 'Policies and the ledger rely on the functions and views of the extension. Nothing was changed.',
    HINT = 'Leave the statement out: the extension''s object does the same work. For a function or view of your own, take another name or another schema.';
END
$$;
COMMENT ON FUNCTION insforge_integrations_internal.keep_installed_objects() IS
  'Event trigger function: refuses a statement that changes a function or view of this extension.';

CREATE EVENT TRIGGER keep_insforge_integrations ON ddl_command_end
  WHEN TAG IN ('CREATE FUNCTION', 'ALTER FUNCTION', 'ALTER ROUTINE', 'CREATE VIEW', 'ALTER VIEW')
  EXECUTE FUNCTION insforge_integrations_internal.keep_installed_objects();
ALTER EVENT TRIGGER keep_insforge_integrations ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER keep_insforge_integrations IS
  'Refuses a statement that changes a function or view of extension insforge_integrations.';
