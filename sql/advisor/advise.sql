-- One row for each mistake that the advisor knows. Its query reads the advisor's facts and answers with affected_object, detail and recommendation.
CREATE TABLE insforge_integrations.advisor_rules (
  rule_id  text COLLATE "C" PRIMARY KEY CHECK (rule_id ~ '^[a-z][a-z0-9_]*$'),
  severity text NOT NULL CHECK (severity IN ('critical', 'warning', 'info')),
  category text NOT NULL CHECK (category IN ('security', 'performance', 'health')),
  title    text NOT NULL CHECK (title <> ''),
  why      text NOT NULL CHECK (why <> ''),
  fix      text NOT NULL CHECK (fix <> ''),
  findings text NOT NULL CHECK (findings <> '')
);
-- docs/advisor.md is generated from this table.
COMMENT ON TABLE insforge_integrations.advisor_rules IS
  'The mistakes that advise() finds.';
COMMENT ON COLUMN insforge_integrations.advisor_rules.rule_id IS 'Name of the rule.';
COMMENT ON COLUMN insforge_integrations.advisor_rules.severity IS 'critical, warning or info.';
COMMENT ON COLUMN insforge_integrations.advisor_rules.category IS 'security, performance or health.';
COMMENT ON COLUMN insforge_integrations.advisor_rules.title IS 'The mistake in a few words.';
COMMENT ON COLUMN insforge_integrations.advisor_rules.why IS 'The consequences, in sentences.';
COMMENT ON COLUMN insforge_integrations.advisor_rules.fix IS 'The effect of the recommendation, in sentences.';
COMMENT ON COLUMN insforge_integrations.advisor_rules.findings IS
  'A query: affected_object; detail, a sentence or NULL; recommendation, SQL that can be run, or steps as SQL comments.';

CREATE FUNCTION insforge_integrations.advise()
  RETURNS TABLE (rule_id text, severity text, category text, title text, description text, affected_object text, recommendation text)
  LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  -- The statement is long and its tables are small: JIT compilation would take longer than execution.
  SET jit = off
  -- The planner does not know how many rows a fact has.
  SET enable_nestloop = off
AS $$
BEGIN
  RETURN QUERY EXECUTE (
    SELECT format(
      'WITH %s, found (rule_id, affected_object, detail, recommendation) AS (%s)
       SELECT r.rule_id::text, r.severity, r.category, r.title, concat_ws('' '', f.detail, r.why), f.affected_object, f.recommendation
       FROM found f JOIN insforge_integrations.advisor_rules r USING (rule_id)
       ORDER BY array_position(''{critical,warning,info}''::text[], r.severity), r.rule_id, f.affected_object',
      (SELECT string_agg(format('%I AS MATERIALIZED (%s)', fact.name, fact.query), ', ' ORDER BY fact.position)
       FROM insforge_integrations.advisor_facts fact),
      string_agg(format('SELECT %L, q.affected_object, q.detail, q.recommendation FROM (%s) q', rule.rule_id, rule.findings), ' UNION ALL '))
    FROM insforge_integrations.advisor_rules rule);
END
$$;
COMMENT ON FUNCTION insforge_integrations.advise() IS
'Finds the mistakes in this database that leak rows, lock users out or lose money.

One row for each mistake, with the columns of system.advisor_findings. recommendation is SQL that can be run. If a person must decide or another program must change, it is steps in SQL comments. The call changes nothing.';
