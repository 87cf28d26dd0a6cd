CREATE FUNCTION insforge_integrations.adopt_requesting_user_id(
  function regprocedure,
  OUT adopted regprocedure,
  OUT policies bigint,
  OUT column_defaults bigint
) LANGUAGE plpgsql VOLATILE STRICT
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  ours CONSTANT regprocedure := '@extschema@.requesting_user_id()'::regprocedure;
  target pg_proc;
BEGIN
  SELECT * INTO target FROM pg_proc WHERE oid = function;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING
      ERRCODE = 'undefined_function',
      MESSAGE = format('function with OID %s does not exist', function::oid),
      DETAIL = 'This database has no such function.',
      HINT = 'Give the function''s signature, as in adopt_requesting_user_id(''public.requesting_user_id_guide()'').';
  END IF;
  IF function = ours OR EXISTS (
    SELECT FROM pg_depend
    WHERE classid = 'pg_proc'::regclass AND objid = function AND deptype = 'e'
  ) THEN
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('function %s belongs to an extension', function),
      DETAIL = 'Only a function of your own can be adopted.',
      HINT = 'Give the function that your policies used before, by its new name.';
  END IF;
  IF target.prokind <> 'f' OR target.pronargs <> 0 OR target.proretset OR target.prorettype <> 'text'::regtype THEN
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('function %s cannot be adopted', function),
      DETAIL = format('It is declared as %s(%s) returning %s.', function::oid::regproc,
                      pg_get_function_arguments(function), pg_get_function_result(function)),
      HINT = 'Only a function without arguments that returns text can be adopted. If your ids have another type, change the columns to text first.';
  END IF;

  -- The planner inlines a body in the SQL standard's form, so the call costs nothing. Postgres also tracks it:
  -- DROP EXTENSION then names the policies that need it. Owner and privileges stay.
  EXECUTE format(
    'CREATE OR REPLACE FUNCTION %s RETURNS text LANGUAGE sql STABLE PARALLEL SAFE RETURN %s',
    function, ours);
  EXECUTE format(
    'COMMENT ON FUNCTION %s IS %L', function,
    format('Adopted by extension insforge_integrations: answers as %s does.', ours));

  adopted := function;
  SELECT count(DISTINCT objid) FILTER (WHERE classid = 'pg_policy'::regclass),
         count(DISTINCT objid) FILTER (WHERE classid = 'pg_attrdef'::regclass)
    INTO policies, column_defaults
    FROM pg_depend
    WHERE refclassid = 'pg_proc'::regclass AND refobjid = function;
END
$$;
COMMENT ON FUNCTION insforge_integrations.adopt_requesting_user_id(regprocedure) IS
'Makes a function of yours, which policies use, answer as requesting_user_id() does.

The function keeps its name, owner and privileges. It loses its old body. The answer counts the policies and column defaults that use it.';
