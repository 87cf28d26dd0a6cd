import { AuthChangeEvent, createClient, type InsForgeClient } from "@insforge/sdk";
import { exchange } from "./exchange";
import { anonKey, baseUrl, type GetToken } from "./insforge";

type Held = { token: string; until: number; client?: Promise<InsForgeClient> };

/** One client for the page. `client()` exchanges when it must; `signOut()` also stops an exchange that is under way. */
export function exchangedSession(provider: string, getToken: GetToken) {
  const insforge = createClient({ baseUrl, anonKey, isServerMode: true });
  let held: Held | undefined;
  let user: string | undefined;

  function signOut() {
    if (held) insforge.setAccessToken(null);
    held = user = undefined;
  }

  async function exchanged(mine: Held) {
    const answer = await exchange(mine.token, provider);
    if (held !== mine) throw new Error("another user is signed in, or nobody");
    const event = answer.user_id === user ? AuthChangeEvent.TOKEN_REFRESHED : AuthChangeEvent.SIGNED_IN;
    insforge.setAccessToken(answer.access_token, event);
    user = answer.user_id;
    mine.until = Date.now() + answer.expires_in * 1000 - 5000;
    return insforge;
  }

  async function client() {
    let mine: Held | undefined;
    try {
      const token = await getToken();
      if (!token) signOut();
      else if (held?.token !== token || held.until < Date.now()) {
        held = { token, until: Infinity };
        held.client = exchanged(held);
      }
      mine = held;
      return await (mine?.client ?? insforge);
    } catch (error) {
      if (!mine || mine === held) signOut();
      throw error;
    }
  }

  return { client, signOut };
}
