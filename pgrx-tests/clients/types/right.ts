// A server that sells, and pages that read, with the names and types of the declarations.
import { createClient } from "@insforge/sdk";
import { PostgrestClient } from "@supabase/postgrest-js";
import type { Database } from "./insforge_integrations";

const offers = [{ pay_to: "0x857b06519E91e3A54538791bDbb0E22373e36b66", amount: "10000", asset: "USDG", network: "xlayer" }];

/** Answers with a challenge, or sells. */
export async function sell(client: PostgrestClient<Database>, payment?: string) {
  const resource = "https://api.example.com/report";
  if (!payment) {
    const { data, error } = await client.rpc("x402_challenge", { offers, resource }).single();
    if (error) throw error;
    const answer: { status: number; headers: Record<string, string>; body: string } = data;
    return answer;
  }
  const reserved = await client.rpc("reserve_x402_payment", { payment, requirements: offers, endpoint: resource }).single();
  if (reserved.error) throw reserved.error;
  const { reservation_id, facilitator_request, state } = reserved.data;
  const known: "reserved" | "settled" | "pending" | "failed" | "conflict" = state;
  if (facilitator_request) {
    const { url, body } = facilitator_request;
    const facilitator_response = await (await fetch(url, { method: "POST", body })).text();
    await client.rpc("settle_x402_reservation", { reservation_id, facilitator_response, response_summary: known });
  }
  const delivered = await client.rpc("mark_x402_delivered", { reservation_id }).single();
  return delivered.data?.is_new ? delivered.data.response_headers : null;
}

/** A token for a provider's token, and the payments that its user may see. */
export async function payments(client: PostgrestClient<Database>, token: string) {
  const exchanged = await client.rpc("exchange_provider_token", { token, provider: "clerk" });
  const accessToken: string | undefined = exchanged.data?.access_token;
  const user = await client.rpc("requesting_user_id");
  const id: string | null = user.data;
  const { data } = await client.from("x402_payments").select("tx_hash, amount, asset").eq("status", "settled");
  const rows: { tx_hash: string; amount: string; asset: string | null }[] = data ?? [];
  const revenue = await client.from("x402_revenue").select("*").order("day");
  return { accessToken, id, rows, payments: revenue.data?.map((day) => day.payments) };
}

/** The guide's INSERT, and the function in its place. */
export async function record(client: PostgrestClient<Database>) {
  const payment = { tx_hash: "0x12", payer_address: "0x34", endpoint: "/report", amount: "10000" };
  await client.from("x402_payments").insert([{ ...payment, status: "settled" }]);
  const { data } = await client.rpc("record_x402_settlement", { ...payment, idempotent: true }).single();
  return data?.explorer_url;
}

export const rest = new PostgrestClient<Database>("https://api.example.com");

const insforge = createClient({ baseUrl: "https://api.example.com", anonKey: "anon" });
export const database = insforge.database as unknown as PostgrestClient<Database>;

/** An application's own types. */
type Own = {
  public: {
    Tables: {
      notes: {
        Row: { id: number; body: string };
        Insert: { body: string };
        Update: { body?: string };
        Relationships: [];
      };
    };
    Views: { [_ in never]: never };
    Functions: { count_notes: { Args: { since: string }; Returns: number } };
    Enums: { [_ in never]: never };
    CompositeTypes: { [_ in never]: never };
  };
};

export async function both(client: PostgrestClient<Own & Database>) {
  const notes = await client.from("notes").select("id, body");
  const body: string | undefined = notes.data?.[0]?.body;
  const count = await client.rpc("count_notes", { since: "2026-01-01" });
  const sum: number | null = count.data;
  const { data } = await client.rpc("x402_receipt", { tx_hash: "0x12" });
  return { body, sum, receipts: data?.length };
}
