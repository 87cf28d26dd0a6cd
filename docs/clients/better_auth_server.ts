import { auth } from "./auth";   // your betterAuth({ …, plugins: [jwt()] })
import { insforgeFor } from "./insforge";

export async function getToken(headers: Headers) {
  const session = await auth.api.getSession({ headers });
  return session && (await auth.api.getToken({ headers })).token;
}
export const insforge = (headers: Headers) => insforgeFor(() => getToken(headers));
