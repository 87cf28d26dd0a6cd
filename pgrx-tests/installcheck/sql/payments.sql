-- What was paid: the ledger takes a transaction once, and changes none.
\set VERBOSITY sqlstate
SELECT amount, chain, status FROM record_x402_settlement(
    '0x' || repeat('ab', 32), '0x857b06519E91e3A54538791bDbb0E22373e36b66', '/report', '10000');
SELECT amount FROM record_x402_settlement(
    '0x' || repeat('ab', 32), '0x857b06519E91e3A54538791bDbb0E22373e36b66', '/report', '10000');
SELECT amount FROM record_x402_settlement(
    '0x' || repeat('ab', 32), '0x857b06519E91e3A54538791bDbb0E22373e36b66', '/report', '10000', idempotent => true);
DELETE FROM x402_payments;
SELECT payer_address, endpoint, amount FROM x402_payments;
