-- Each new row of the ledger is published on a channel. InsForge has its own realtime.publish(); this one tells every
-- session that listens.
CREATE SCHEMA realtime;
CREATE FUNCTION realtime.publish(channel text, event text, payload jsonb) RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify(channel, payload::text);
  RETURN gen_random_uuid();
END
$$;
SELECT insforge_integrations.configure('realtime', 'on');
