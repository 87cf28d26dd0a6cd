import { createClient } from "@insforge/sdk";

// With Vite: import.meta.env.VITE_INSFORGE_URL and import.meta.env.VITE_INSFORGE_ANON_KEY.
export const baseUrl = process.env.NEXT_PUBLIC_INSFORGE_URL!;
export const anonKey = process.env.NEXT_PUBLIC_INSFORGE_ANON_KEY!;

/** The provider's token of the user who is signed in now. Nobody is signed in: null. */
export type GetToken = () => Promise<string | null | undefined>;

/** A fetch that asks for the token at each request, and sends it only to addresses below `base`. */
export function fetchWithToken(base: string, getToken: GetToken): typeof fetch {
  return async (input, init) => {
    const token = String(input).startsWith(base) ? await getToken() : null;
    if (!token) return fetch(input, init);
    const headers = new Headers(init?.headers);
    headers.set("X-Provider-Token", token);
    return fetch(input, { ...init, headers, cache: "no-store", redirect: "error" });
  };
}

/** A client that reads and writes the rows of that user. */
export function insforgeFor(getToken: GetToken) {
  return createClient({ baseUrl, anonKey, fetch: fetchWithToken(`${baseUrl}/api/database/`, getToken) });
}
