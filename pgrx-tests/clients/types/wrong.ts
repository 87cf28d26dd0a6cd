// Each marked line has a wrong name or type.
import { PostgrestClient } from "@supabase/postgrest-js";
import type { Database } from "./insforge_integrations";

export async function wrong(client: PostgrestClient<Database>) {
  await client.rpc("exchange_provider_token", { jwt: "…" }); // wrong
  await client.rpc("exchange_token", { token: "…" }); // wrong
  await client.rpc("mark_x402_delivered", { reservation_id: 1 }); // wrong
  await client.rpc("record_x402_settlement", { tx_hash: "0x12", payer_address: "0x34", endpoint: "/report" }); // wrong
  await client.from("x402_payment").select("*"); // wrong
  await client.from("x402_payments").insert({ tx_hash: "0x12", payer_address: "0x34", endpoint: "/report", amount: 1 }); // wrong
  const { data } = await client.rpc("reserve_x402_payment", { payment: "…", requirements: [], endpoint: "/report" }).single();
  if (data?.state === "paid") return; // wrong
  const hash: string | undefined = data?.tx_hash; // wrong
  return hash;
}
