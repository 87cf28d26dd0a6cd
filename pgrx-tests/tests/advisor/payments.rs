//! Tables of payments, and the tokens that are paid in.

mod ledger;

use super::{Mistake, findings};

#[test]
fn payment_hash_not_unique() {
    Mistake {
        rule: "payment_hash_not_unique",
        near_miss: r#"
            CREATE TABLE public.guide (tx_hash text NOT NULL UNIQUE, payer_address text);
            CREATE TABLE public.folded ("txHash" varchar, amount text);
            CREATE UNIQUE INDEX ON public.folded (lower("txHash"));
            CREATE TABLE public.chains (chain text, tx_hash text, amount text, UNIQUE (chain, tx_hash));
            CREATE TABLE public.later (tx_hash text, amount text);
            CREATE UNIQUE INDEX ON public.later (tx_hash) WHERE tx_hash IS NOT NULL;
            CREATE TABLE public.refunds (tx_hash text REFERENCES public.guide (tx_hash), amount text);
            CREATE TABLE public.transfers (tx_hash text, log_index int, amount text);
            CREATE TABLE public.blocks (tx_hash text, number bigint);
            CREATE VIEW public.seen AS SELECT tx_hash, payer_address FROM public.guide;"#,
        broken: r#"
            CREATE TABLE public."pay""ments; DROP TABLE Ünbezahlt" ("tx_hash" text, "Amount" numeric);
            CREATE INDEX ON public."pay""ments; DROP TABLE Ünbezahlt" (tx_hash);
            CREATE TABLE public.orders (id int PRIMARY KEY, "transactionHash" varchar, price int, is_paid boolean,
                                        UNIQUE (id, "transactionHash"));
            CREATE UNIQUE INDEX ON public.orders (lower("transactionHash")) WHERE is_paid;
            CREATE TABLE public.raw (transaction_hash bytea, payer bytea);"#,
        affected: &[
            r#"public."pay""ments; DROP TABLE Ünbezahlt""#,
            "public.orders",
            "public.raw",
        ],
    }
    .is_found_and_mended();
}

#[test]
fn a_partitioned_payment_table_is_given_steps() {
    let (mut superuser, _) = Mistake {
        rule: "payment_hash_not_unique",
        near_miss: "CREATE TABLE public.payments (tx_hash text UNIQUE, amount text) PARTITION BY HASH (tx_hash);",
        broken: r#"
            CREATE TABLE public."by
DROP TABLE day" (tx_hash text, amount text, day date, PRIMARY KEY (tx_hash, day)) PARTITION BY RANGE (day);
            CREATE TABLE public.today PARTITION OF public."by
DROP TABLE day" DEFAULT;"#,
        affected: &["public.\"by\nDROP TABLE day\""],
    }
    .is_found_with_steps();
    assert!(findings(&mut superuser, "payment_hash_in_two_spellings").is_empty());
}

#[test]
fn payment_hash_in_two_spellings() {
    Mistake {
        rule: "payment_hash_in_two_spellings",
        near_miss: r#"
            CREATE TABLE public.checked ("txHash" varchar UNIQUE CHECK (lower("txHash") = "txHash"), amount text);
            CREATE TABLE public.matched (tx_hash text UNIQUE, amount text, CHECK (amount <> '' AND tx_hash ~ '^0x[0-9a-f]{64}$'));
            CREATE TABLE public.refused (tx_hash text UNIQUE CHECK (tx_hash !~ '[A-F]'), amount text);
            CREATE DOMAIN public.hash AS text CHECK (VALUE ~ '^0x[0-9a-f]{64}$');
            CREATE TABLE public.typed (tx_hash public.hash UNIQUE, amount text);
            CREATE TABLE public.twice (tx_hash text UNIQUE, amount text);
            CREATE UNIQUE INDEX ON public.twice (lower(tx_hash));
            CREATE TABLE public.bytes (tx_hash bytea UNIQUE, amount text);
            CREATE TABLE public.generated (given text, tx_hash text GENERATED ALWAYS AS (lower(given)) STORED UNIQUE, amount text);
            CREATE FUNCTION public.fold() RETURNS trigger LANGUAGE plpgsql AS
              $$ BEGIN NEW.tx_hash := lower(NEW.tx_hash); RETURN NEW; END $$;
            CREATE TABLE public.folded (tx_hash text UNIQUE, amount text);
            CREATE TRIGGER fold BEFORE INSERT OR UPDATE ON public.folded FOR EACH ROW EXECUTE FUNCTION public.fold();"#,
        broken: r#"
            CREATE TABLE public."Pay""ments; --" ("tx_hash" text PRIMARY KEY, payer text);
            CREATE TABLE public.chains ("Chain; --" text, chain text, "txHash" varchar(66), amount text, UNIQUE (chain, "txHash"));
            CREATE TABLE public.either (tx_hash text UNIQUE CHECK (tx_hash ~ '^0x[0-9a-fA-F]{64}$'), amount text);
            CREATE TABLE public.insensitive (tx_hash text UNIQUE CHECK (tx_hash ~* '^0x[0-9a-f]{64}$'), amount text);
            CREATE TABLE public.loose (tx_hash text UNIQUE CHECK (tx_hash ~ '[0-9a-f]'), amount text);
            CREATE TABLE public.other (tx_hash text UNIQUE, payer text CHECK (payer = lower(payer)));"#,
        affected: &[
            r#"public."Pay""ments; --""#,
            "public.chains",
            "public.either",
            "public.insensitive",
            "public.loose",
            "public.other",
        ],
    }
    .is_found_and_mended();
}

#[test]
fn payment_table_exposed() {
    Mistake {
        rule: "payment_table_exposed",
        near_miss: r"
            -- The guide's own.
            CREATE TABLE public.x402_payments_guide (payer_address text NOT NULL, amount text NOT NULL, tx_hash text NOT NULL UNIQUE);
            ALTER TABLE public.x402_payments_guide ENABLE ROW LEVEL SECURITY;
            CREATE POLICY anybody_reads ON public.x402_payments_guide FOR SELECT USING (true);
            CREATE TABLE public.hidden (tx_hash text, amount text);
            REVOKE ALL ON public.hidden FROM anon, authenticated;
            CREATE TABLE public.servers (tx_hash text, amount text);
            ALTER TABLE public.servers ENABLE ROW LEVEL SECURITY;
            CREATE POLICY server_writes ON public.servers TO project_admin USING (true) WITH CHECK (true);
            CREATE POLICY nobody_writes ON public.servers FOR INSERT TO authenticated WITH CHECK (false);
            CREATE TABLE public.read (tx_hash text, amount text, payer text);
            ALTER TABLE public.read ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.read TO authenticated USING (payer = requesting_user_id());
            REVOKE INSERT, UPDATE, DELETE ON public.read FROM anon, authenticated;
            CREATE SCHEMA private;
            CREATE TABLE private.payments (tx_hash text, amount text);",
        broken: r#"
            CREATE TABLE public."pay""ments; --" (tx_hash text, amount text);
            CREATE TABLE public.columns (tx_hash text, amount text);
            REVOKE ALL ON public.columns FROM anon, authenticated;
            GRANT UPDATE (amount) ON public.columns TO PUBLIC;
            ALTER TABLE public.columns ENABLE ROW LEVEL SECURITY;
            CREATE POLICY anybody ON public.columns FOR UPDATE USING (amount <> '');
            CREATE TABLE public.own (tx_hash text, payer text);
            ALTER TABLE public.own ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.own TO authenticated USING (payer = requesting_user_id());"#,
        affected: &[
            r#"public."pay""ments; --""#,
            "public.columns",
            "public.own",
        ],
    }
    .is_found_and_mended();
}

#[test]
fn payment_table_unlogged() {
    Mistake {
        rule: "payment_table_unlogged",
        near_miss: r"
            CREATE UNLOGGED TABLE public.cache (tx_hash text, body text);
            CREATE TABLE public.payments (tx_hash text, amount text);",
        broken: r#"
            CREATE UNLOGGED TABLE public."pay""ments; --" (tx_hash text, amount text);
            CREATE TABLE public.days (tx_hash text, amount text, day date) PARTITION BY RANGE (day);
            CREATE UNLOGGED TABLE public."To;day" PARTITION OF public.days DEFAULT;
            ALTER TABLE insforge_integrations.x402_reservations SET UNLOGGED;"#,
        affected: &[
            "insforge_integrations.x402_reservations",
            r#"public."To;day""#,
            r#"public."pay""ments; --""#,
        ],
    }
    .is_found_and_mended();
}

#[test]
fn payment_trigger_swallows() {
    Mistake {
        rule: "payment_trigger_swallows",
        near_miss: r"
            CREATE FUNCTION public.harmless() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
              -- It must never RETURN NULL.
              IF NEW.amount = '' THEN RAISE EXCEPTION 'no amount'; END IF;
              RETURN NEW;
            END $$;
            CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
            CREATE TABLE public.payments (tx_hash text, amount text);
            CREATE TABLE public.others (tx_hash text);
            CREATE TRIGGER harmless BEFORE INSERT ON public.payments FOR EACH ROW EXECUTE FUNCTION public.harmless();
            CREATE TRIGGER afterwards AFTER INSERT ON public.payments FOR EACH ROW EXECUTE FUNCTION public.swallow();
            CREATE TRIGGER changed BEFORE UPDATE ON public.payments FOR EACH ROW EXECUTE FUNCTION public.swallow();
            CREATE TRIGGER statement BEFORE INSERT ON public.payments FOR EACH STATEMENT EXECUTE FUNCTION public.swallow();
            CREATE TRIGGER disabled BEFORE INSERT ON public.payments FOR EACH ROW EXECUTE FUNCTION public.swallow();
            ALTER TABLE public.payments DISABLE TRIGGER disabled;
            CREATE TRIGGER other BEFORE INSERT ON public.others FOR EACH ROW EXECUTE FUNCTION public.swallow();
            CREATE RULE also AS ON INSERT TO public.payments DO ALSO NOTIFY paid;
            CREATE RULE kept AS ON DELETE TO public.payments DO INSTEAD NOTHING;",
        broken: r#"
            CREATE FUNCTION public."swal""low"() RETURNS trigger LANGUAGE plpgsql AS
              $$ BEGIN /* Large ones */ IF NEW.amount::numeric > 10 THEN RETURN /* no row */ null; END IF; RETURN NEW; END $$;
            CREATE TABLE public."pay""ments; --" (tx_hash text, amount text);
            CREATE TRIGGER "a; --" BEFORE INSERT OR UPDATE ON public."pay""ments; --" FOR EACH ROW EXECUTE FUNCTION public."swal""low"();
            CREATE RULE "b; --" AS ON INSERT TO public."pay""ments; --" WHERE amount = '' DO INSTEAD NOTHING;
            CREATE TABLE public.days (tx_hash text, amount text, day date) PARTITION BY RANGE (day);
            CREATE TABLE public.today PARTITION OF public.days DEFAULT;
            CREATE TRIGGER cloned BEFORE INSERT ON public.days FOR EACH ROW EXECUTE FUNCTION public."swal""low"();
            CREATE TRIGGER own BEFORE INSERT ON public.today FOR EACH ROW EXECUTE FUNCTION public."swal""low"();
            CREATE TRIGGER cap BEFORE INSERT ON insforge_integrations.x402_settlements FOR EACH ROW EXECUTE FUNCTION public."swal""low"();"#,
        affected: &[
            r#""a; --" on public."pay""ments; --""#,
            r#""b; --" on public."pay""ments; --""#,
            "cap on insforge_integrations.x402_settlements",
            "cloned on public.days",
            "own on public.today",
        ],
    }
    .is_found_and_mended();
}

#[test]
fn asset_domain_not_verified() {
    let (mut superuser, found) = Mistake {
        rule: "asset_domain_not_verified",
        near_miss: r"
            SELECT insforge_integrations.register_x402_network('eip155:80002', 'polygon-amoy');
            SELECT insforge_integrations.register_x402_asset('polygon-amoy', '0x41e94eb019c0762f9bfcf9fb1e58725bfb0e7582', 'USDC',
              'USDC', '2', 6, '0x5cddc98319864e897e4469bd1d13c2288c677047b54b8cca12bd342adb6be9eb');
            SELECT insforge_integrations.register_x402_asset('base', '0x00000000000000000000000000000000000000bb', 'DAI', decimals => 18, transfer_method => 'permit2');",
        broken: r#"
            SELECT insforge_integrations.register_x402_asset('base', '0x00000000000000000000000000000000000000aa', 'X''; --',
              'It''s "; --', '1\');"#,
        affected: &["eip155:8453 0x00000000000000000000000000000000000000aa"],
    }
    .is_found_with_steps();
    let registration = found[0].recommendation.lines().nth(3).unwrap();
    superuser
        .batch_execute(registration.trim_start_matches('-'))
        .unwrap();
    assert!(findings(&mut superuser, "asset_domain_not_verified").is_empty());
}

#[test]
fn a_name_with_a_line_break_stays_in_the_comment() {
    Mistake {
        rule: "asset_domain_not_verified",
        near_miss: "",
        broken: "SELECT insforge_integrations.register_x402_asset('base', '0x00000000000000000000000000000000000000aa', 'X', E'a\r\nDROP TABLE b;', '1')",
        affected: &["eip155:8453 0x00000000000000000000000000000000000000aa"],
    }
    .is_found_with_steps();
}

#[test]
fn asset_domain_of_a_built_in_asset() {
    Mistake {
        rule: "asset_domain_not_verified",
        near_miss: "SELECT insforge_integrations.register_x402_asset('base', '0x833589fcd6edb6e08f4c7c32d4f71b54bda02913', 'USDC',
              'USD Coin', '2', 6, '0x02fa7265e7c5d81118673727957699e4d68f74cd74b7db77da710fe8a2c7834f')",
        broken: "SELECT insforge_integrations.register_x402_asset('base', '0x833589fcd6edb6e08f4c7c32d4f71b54bda02913', 'US''DC', 'USDC', '2')",
        affected: &["eip155:8453 0x833589fcd6edb6e08f4c7c32d4f71b54bda02913"],
    }
    .is_found_and_mended();
}
