import { Auth0Client } from "@auth0/nextjs-auth0/server";
import { insforgeFor } from "./insforge";

export const auth0 = new Auth0Client({ authorizationParameters: { audience: "https://api.example.com" } });

export async function getToken() {
  const session = await auth0.getSession();
  return session && (await auth0.getAccessToken()).token;
}
export const insforge = () => insforgeFor(getToken);
