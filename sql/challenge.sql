CREATE FUNCTION @extschema@.x402_challenge(
    offers jsonb, resource text, description text DEFAULT NULL, mime_type text DEFAULT NULL, error text DEFAULT NULL)
  RETURNS TABLE (status integer, headers jsonb, body text) ROWS 1
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT 402, c.headers, c.body
  FROM insforge_integrations_internal.x402_challenge_parts(offers, resource, description, mime_type, error) c
$$;
COMMENT ON FUNCTION @extschema@.x402_challenge(jsonb, text, text, text, text) IS
'Status, headers and body of the answer to a request without a payment.

- offers: one or a list, each a short offer {pay_to, amount, asset, network, version, ...} or a PaymentRequirements
- resource: address of what is sold
- error: why an earlier payment was refused

Header PAYMENT-REQUIRED is for buyers of version 2, the body for buyers of version 1. Raises 22023 for offers that make no sense.';
