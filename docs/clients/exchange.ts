import { createClient } from "@insforge/sdk";
import { anonKey, baseUrl, type GetToken } from "./insforge";

type Answer = { access_token: string; expires_in: number; user_id: string };

/** InsForge's token for a provider's token. */
export async function exchange(token: string, provider: string): Promise<Answer> {
  const anonymous = createClient({ baseUrl, anonKey, isServerMode: true });
  const { data, error } = await anonymous.database.rpc("exchange_provider_token", { token, provider });
  if (error) throw error;
  return data as Answer;
}

/** A client for one request on a server. */
export async function exchangedClient(provider: string, getToken: GetToken) {
  const token = await getToken();
  const accessToken = token ? (await exchange(token, provider)).access_token : undefined;
  return createClient({ baseUrl, anonKey, accessToken, isServerMode: true });
}
