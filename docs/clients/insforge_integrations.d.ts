// The data API of extension insforge_integrations: every function and view that PostgREST and InsForge offer.
// Made from the catalog. PostgREST writes bigint and numeric as JSON numbers; amounts of payments are texts.
//
// With @supabase/postgrest-js:
//   const client = new PostgrestClient<Database>(url);
//
// Beside your own types:
//   new PostgrestClient<Own & Database>(url)
//
// With @insforge/sdk, whose own rpc() takes every name and every argument:
//   const database = insforge.database as unknown as PostgrestClient<Database>;

export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

export type Database = {
  public: {
    Tables: { [_ in never]: never };
    Views: {
      /**
       * The ledger of x402 payments, with the columns of the guide's table.
       *
       * Addresses and hashes are in lower case, amounts in the token's smallest unit. is_batched: the payment shares its transaction with another payment, which has the row in the ledger. An INSERT records a settlement, as record_x402_settlement() does. UPDATE and DELETE are refused. publish_x402_payments() gives other roles than project_admin access.
       */
      x402_payments: {
        Row: {
          /** Id of the payment. */
          id: string;
          /** Address of the payer, in lower case. */
          payer_address: string;
          /** The paid endpoint. */
          endpoint: string;
          /** Amount, in the token's smallest unit. */
          amount: string;
          /** Hash of the transaction, in lower case. */
          tx_hash: string;
          /** Name of the chain. */
          chain: string;
          /** Always settled. */
          status: string;
          /** The app's note on its answer. */
          response_summary: string | null;
          /** When the payment was recorded. */
          created_at: string;
          /** CAIP-2 identifier of the chain. */
          network: string;
          /** The token's contract; NULL if it was not given. */
          asset: string | null;
          /** Address of the transaction's page; NULL if the chain has no such page. */
          explorer_url: string | null;
          /** No money moved: mock_x402_settlement() made it. */
          is_mock: boolean;
          /** requesting_user_id() at the time of the reservation, or of the record without a reservation. */
          user_id: string | null;
          /** The payment shares its transaction with another payment, which has the row in the ledger. */
          is_batched: boolean;
        };
        Insert: {
          /** 0x and 64 hexadecimal digits */
          tx_hash: string;
          /** 0x and 40 hexadecimal digits */
          payer_address: string;
          endpoint: string;
          /** decimal digits, in the token's smallest unit */
          amount: string;
          /** name or CAIP-2 identifier */
          chain?: string;
          status?: string;
          response_summary?: string | null;
        };
        Update: Record<string, never>;
        Relationships: [];
      };
      /**
       * Revenue by day (UTC), endpoint and asset.
       *
       * amount, refunded, dropped (the chain dropped the transaction) and net are in the token's smallest unit. A payment counts on the day of its record, and a correction on the day of its entry, so past days never change. Mock settlements do not count. Each payment of a transaction with several counts once. An endpoint that a spreadsheet would run as a formula has an apostrophe before it. Only project_admin and roles that publish_x402_payments() gave scope all see rows.
       */
      x402_revenue: {
        Row: {
          /** Day, in UTC. */
          day: string;
          /** The paid endpoint. */
          endpoint: string;
          /** CAIP-2 identifier of the chain. */
          network: string;
          /** Name of the chain. */
          chain: string;
          /** The token's contract; NULL if it was not given. */
          asset: string | null;
          /** Symbol of the token; NULL if x402_assets does not have the token. */
          symbol: string | null;
          /** Digits after the point: an amount of 1 is 10^-decimals. */
          decimals: number | null;
          /** Number of payments. */
          payments: number;
          /** Sum of the payments, in the token's smallest unit. */
          amount: number;
          /** Sum of the refunds, in the token's smallest unit. */
          refunded: number;
          /** Sum of the payments that the chain dropped. */
          dropped: number;
          /** amount - refunded - dropped. */
          net: number;
          /** amount in whole tokens; NULL if decimals is NULL. */
          amount_in_units: number | null;
          /** net in whole tokens; NULL if decimals is NULL. */
          net_in_units: number | null;
        };
        Relationships: [];
      };
    };
    Functions: {
      /**
       * Adds a correction to a transaction in the ledger.
       *
       * The same one again returns the stored row; with another amount it raises 23505. A second reorg returns the stored row. A refund of more than the remaining amount raises 22023.
       */
      correct_x402_settlement: {
        Args: {
          tx_hash: string;
          /** refund (amount), reorg (the chain dropped the transaction, with all its payments), batched (amount of another payment in the same transaction, which was not reserved), note */
          kind: string;
          note: string;
          amount?: string | null;
          /** the transaction that paid it back, or the seller's own name for it; a refund and a batched payment need one of them */
          other_hash?: string | null;
          /** the transaction that paid it back, or the seller's own name for it; a refund and a batched payment need one of them */
          reference?: string | null;
          /** a refund or note is about this payment of the transaction */
          reservation_id?: string | null;
        };
        Returns: {
          /** Id of the row. */
          id: string;
          /** When the transaction that recorded it began. */
          created_at: string;
          /** The settlement. */
          tx_hash: string;
          /** Number of the correction within its settlement, from 1. */
          number: number;
          /** refund, reorg (the chain dropped the transaction), batched (the transaction carried another payment too), or note. */
          kind: string;
          /** Amount that is added to the total, in the token's smallest unit; negative for a refund. */
          change: number;
          /** The transaction of the refund, if there is one. */
          other_hash: string | null;
          /** The seller's own name for the refund or the batched payment, such as its number in the books. */
          reference: string | null;
          /** The reason. */
          note: string;
          /** The role that had logged in. */
          recorded_by: string;
          /** The other payment in the transaction that the correction is about, if it was reserved; NULL: the payment that has the row in the ledger. */
          reservation_id: string | null;
        };
      };
      /**
       * Exchanges a provider's token, or a Better Auth session, for an InsForge token.
       *
       * The answer has the names of RFC 8693: access_token, token_type, expires_in (seconds), issued_token_type, and also user_id and provider. As an RPC only by POST. A refused token raises 28000 (HTTP 401 under PostgREST) with the reason code in DETAIL. A missing secret raises 55000.
       */
      exchange_provider_token: {
        Args: {
          /** the provider's token, or the session */
          token: string;
          /** the provider that it must be from; NULL: the provider of its issuer */
          provider?: string | null;
        };
        Returns: { access_token: string; token_type: string; expires_in: number; issued_token_type: string; user_id: string; provider: string };
      };
      /**
       * Marks a reservation as delivered.
       *
       * is_new is true for only one call: deliver then. A payment that is sent again buys nothing twice. Raises 55000 if the reservation is not settled.
       */
      mark_x402_delivered: {
        Args: {
          reservation_id: string;
        };
        Returns: Database["public"]["CompositeTypes"]["x402_reservation"][];
      };
      /**
       * For development: settles a reservation without money.
       *
       * Needs setting allow_mock_settlements. The row has is_mock true and counts in no total.
       */
      mock_x402_settlement: {
        Args: {
          reservation_id: string;
        };
        Returns: Database["public"]["CompositeTypes"]["x402_reservation"][];
      };
      /**
       * Records a settled x402 payment and returns its row.
       *
       * A transaction that is already recorded raises 23505, and DETAIL says whether the stored row is identical. The call returns a row or raises an error. After the commit the row is on disk, even if synchronous_commit is off.
       */
      record_x402_settlement: {
        Args: {
          /** 0x and 64 hexadecimal digits */
          tx_hash: string;
          /** 0x and 40 hexadecimal digits */
          payer_address: string;
          endpoint: string;
          /** decimal digits, in the token's smallest unit */
          amount: string;
          /** name or CAIP-2 identifier */
          chain?: string;
          status?: string;
          response_summary?: string | null;
          /** true: an identical call returns the stored row */
          idempotent?: boolean;
        };
        Returns: Database["public"]["Views"]["x402_payments"]["Row"][];
      };
      /**
       * All claims of the requesting user, for RLS policies.
       *
       * They are those of the token that authenticate() or pre_request() verified, otherwise those of request.jwt.claims. NULL if there are none. Raises 22P02 if request.jwt.claims is not JSON or does not fit into jsonb.
       */
      requesting_claims: {
        Args: Record<PropertyKey, never>;
        Returns: Json | null;
      };
      /**
       * Id of the organisation that the requesting user acts in; NULL if none is active.
       *
       * It comes from the claims of Clerk, Auth0, WorkOS, Kinde, Stytch B2B or an InsForge token.
       */
      requesting_org_id: {
        Args: Record<PropertyKey, never>;
        Returns: string | null;
      };
      /**
       * The requesting user's role in that organisation, as the provider spells it.
       *
       * With Clerk, for example, org:admin. NULL if the token names none or several.
       */
      requesting_org_role: {
        Args: Record<PropertyKey, never>;
        Returns: string | null;
      };
      /**
       * The requesting user's permissions, as the provider spells them.
       *
       * With Clerk, for example, org:feature:permission. NULL if the token says nothing about permissions, empty if it grants none.
       */
      requesting_permissions: {
        Args: Record<PropertyKey, never>;
        Returns: string[] | null;
      };
      /**
       * Id of the requesting user, for RLS policies.
       *
       * It is "sub" (RFC 7519) of request.jwt.claims. A string is returned unchanged, an integer as its digits. Anything else, and no claims, give NULL. Claims that are not JSON raise 22P02.
       */
      requesting_user_id: {
        Args: Record<PropertyKey, never>;
        Returns: string | null;
      };
      /**
       * Stores a valid payment before a facilitator settles it.
       *
       * Commit, then send facilitator_request unless it is NULL. For a payment of scheme upto, call x402_settlement_request(). If no answer was entered for two minutes, the same call again returns the request again. The same authorization again raises 23505; with the same endpoint and idempotency key it returns the stored reservation instead. Another authorization under that key raises 23505 while the first may still settle. A payment that does not fit raises 28000 with the x402 reason in DETAIL.
       */
      reserve_x402_payment: {
        Args: {
          /** header or JSON */
          payment: string;
          /** the seller's offers, short or in full */
          requirements: Json;
          endpoint: string;
          /** the buyer's name for the purchase; NULL: extension payment-identifier of the payment, if it has one */
          idempotency_key?: string | null;
          /** okx, or x402 for any other */
          facilitator?: string;
          /** there is code at the payer's address (Safe, EIP-7702), so a signature that the payer's key did not make is left to the facilitator */
          payer_is_contract?: boolean;
        };
        Returns: Database["public"]["CompositeTypes"]["x402_reservation"][];
      };
      /**
       * Enters the facilitator's unchanged answer.
       *
       * The state becomes settled (with a row in the ledger), pending, failed or conflict. In scheme upto the answer may name a smaller amount than the signed one, and 0 without a transaction. If deliver is true, call mark_x402_delivered() and deliver if that returns is_new. The same answer again changes nothing.
       */
      settle_x402_reservation: {
        Args: {
          reservation_id: string;
          /** JSON or a text, plain x402 or OKX's envelope; NULL if no answer arrived */
          facilitator_response: Json;
          response_summary?: string | null;
        };
        Returns: Database["public"]["CompositeTypes"]["x402_reservation"][];
      };
      /**
       * Status, headers and body of the answer to a request without a payment.
       *
       * Header PAYMENT-REQUIRED is for buyers of version 2, the body for buyers of version 1. Raises 22023 for offers that make no sense.
       */
      x402_challenge: {
        Args: {
          /** one or a list, each a short offer {pay_to, amount, asset, network, version, ...} or a PaymentRequirements */
          offers: Json;
          /** address of what is sold */
          resource: string;
          description?: string | null;
          mime_type?: string | null;
          /** why an earlier payment was refused */
          error?: string | null;
        };
        Returns: {
          status: number;
          headers: Record<string, string>;
          body: string;
        }[];
      };
      /**
       * The receipt of a payment, by its transaction, its reservation, or both.
       *
       * It says who paid whom how much, for what, when and in which transaction, and what was paid back. One row for each payment of the transaction. No row: there is no such payment, or the caller does not see it in x402_payments. The operator's notes are not in it.
       */
      x402_receipt: {
        Args: {
          tx_hash?: string | null;
          reservation_id?: string | null;
        };
        Returns: Json[];
      };
      /**
       * Asks to settle a payment of scheme upto for this amount.
       *
       * facilitator_request is the request to send. Commit first. The first amount stays: another one raises 55000, unless the facilitator has answered that it sent nothing.
       */
      x402_settlement_request: {
        Args: {
          reservation_id: string;
          /** at most the signed amount */
          amount: string;
          /** okx, or x402 for any other */
          facilitator?: string;
        };
        Returns: Database["public"]["CompositeTypes"]["x402_reservation"][];
      };
    };
    Enums: {
      x402_state: "reserved" | "settled" | "pending" | "failed" | "conflict";
    };
    CompositeTypes: {
      /**
       * The rows of the functions on reservations.
       */
      x402_reservation: {
        /** Id of the reservation. */
        reservation_id: string;
        /** This call reserved the payment, or marked it as delivered. */
        is_new: boolean;
        /** reserved, settled, pending (money may have moved), failed or conflict (the answer is about another payment). */
        state: Database["public"]["Enums"]["x402_state"];
        /** Address of the payer, who signed. */
        payer_address: string;
        /** The paid endpoint. */
        endpoint: string;
        /** The signed amount, in the token's smallest unit. In scheme upto it is a maximum. */
        amount: string;
        /** CAIP-2 identifier of the chain. */
        network: string;
        /** Name of the chain. */
        chain: string;
        /** The token's contract. */
        asset: string;
        /** Nonce of the authorization. */
        nonce: string;
        /** When the authorization ends. */
        valid_before: string;
        /** The buyer's key for the request; NULL if there is none. */
        idempotency_key: string | null;
        /** The transaction that settled it, or that the facilitator named. */
        tx_hash: string | null;
        /** Why it is not settled: the facilitator's reason, or this extension's. */
        reason: string | null;
        /** A sentence about the reason. */
        message: string | null;
        /** mock_x402_settlement() settled it without money. */
        is_mock: boolean;
        /** Time of the settlement. */
        settled_at: string | null;
        /** Time of the delivery to the buyer. */
        delivered_at: string | null;
        /** When the transaction that reserved it began. */
        created_at: string;
        /** requesting_user_id() at the time of the reservation. */
        user_id: string | null;
        /** exact, or upto (the seller charges at most the signed amount). */
        scheme: string;
        /** The amount that moved. With 0 there is no transaction and no row in the ledger. */
        settled_amount: string | null;
        /** {url, body} of the POST request that this call must send; NULL if it must send none. */
        facilitator_request: { url: string; body: string } | null;
        /** The payment is settled and not marked as delivered. */
        deliver: boolean;
        /** The headers for the buyer, if the payment is settled or failed. */
        response_headers: Record<string, string> | null;
      };
    };
  };
};
